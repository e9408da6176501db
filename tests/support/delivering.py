"""A delivery with a client at the stand-in, for attempts without a worker."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.delivery import NotDelivered, Receipt, Shown, Undeliverable
from bot.jobs import Job, Picture
from bot.sandbox.discord import Message
from bot.services import Services
from bot.store.database import Database
from cogs.delivery.discord_delivery import DiscordDelivery
from tests.support.files import picture
from tests.support.ground import Ground, ground
from tests.support.services import services_on

MINUTE = timedelta(minutes=1)


class Delivering:
    """A delivery with its client and the store of its pictures."""

    def __init__(self, on: Ground, services: Services) -> None:
        assert isinstance(services.delivery, DiscordDelivery)
        self.on = on
        self.services = services
        self.delivery = services.delivery
        self.store = services.pictures
        self.waits = 0

    async def deliver(self, job: Job, *pictures: Picture, number: int = 1) -> Shown | Undeliverable:
        """Make the attempt with this number."""
        job = replace(
            job,
            delivery_attempts=number,
            delivery_started_at=job.delivery_started_at or self.on.now(),
        )
        return await self.delivery.deliver(
            job, pictures, missing=0, again=number > 1, waits=self.wait, receipt=Receipt()
        )

    def wait(self) -> None:
        self.waits += 1

    async def picture(self) -> Picture:
        return await self.store.store(picture())

    def direct(self) -> list[Message]:
        return self.on.fake.channel_messages(self.on.fake.dm_channel(self.on.ada))

    def delivered(self) -> dict[str, float]:
        """Return the counted deliveries by destination."""
        found = self.delivery._metrics._deliveries.collect()
        samples = [each for metric in found for each in metric.samples]
        return {
            each.labels["destination"]: each.value
            for each in samples
            if each.name.endswith("_total") and each.value
        }


@asynccontextmanager
async def delivering(database: Database, folder: Path) -> AsyncIterator[Delivering]:
    async with ground() as on:
        services = services_on(database, folder, on.now)
        made = Delivering(on, services)
        made.delivery.attach(on.client)
        async with services.decoder:
            yield made


async def fail(by: Delivering, job: Job, number: int, *minutes: float) -> int:
    """Make failing attempts at these minutes; return the number of the next one."""
    for minute in minutes:
        by.on.moved = minute * MINUTE
        with pytest.raises(NotDelivered):
            await by.deliver(job, number=number)
        number += 1
    return number


def message(by: Delivering, shown: Shown | Undeliverable) -> Message:
    assert isinstance(shown, Shown)
    return by.on.fake.world.messages[shown.message_id]


def with_route(job: Job, **changes: Any) -> Job:  # noqa: ANN401  # of the route
    return replace(job, route=replace(job.route, **changes))
