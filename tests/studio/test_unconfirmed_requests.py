"""Requests whose commit was not confirmed, on PostgreSQL: read again after a moment."""

import asyncio
from pathlib import Path

import pytest

from bot.quotas import Member
from bot.store.backends import open_database
from bot.studio.requests import PictureRequest, Requests
from tests.support.relay import Loss, Relay, relayed
from tests.support.rows import NOW, new_job
from tests.support.services import services_on
from tests.support.studio import stored


async def lost(relay: Relay) -> None:
    """Wait until the connection of a commit is lost."""
    while relay.loss is not None:
        await asyncio.sleep(0.005)


async def test_a_request_is_read_again_after_a_short_loss_of_the_server(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first attempt to read begins after the cut, and the second one after its end."""
    monkeypatch.setattr("bot.studio.requests.READ_AGAIN", (0.1, 0.5))
    monkeypatch.setattr("bot.studio.requests.WRITE_LOCK_TIMEOUT", 10.0)
    async with relayed(postgres_url) as relay, open_database(relay.url) as database:
        requests = Requests(services_on(database, tmp_path, lambda: NOW), lambda: None)
        relay.loss = Loss.AFTER_COMMIT
        task = asyncio.create_task(
            requests.create(Member(1), new_job().route, PictureRequest(1, "a fox", {}))
        )
        await lost(relay)
        relay.cut()
        asyncio.get_running_loop().call_later(0.3, setattr, relay, "open", True)
        job = (await task).job

        assert await stored(database, job.id) == job
