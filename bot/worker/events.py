"""The event streams of whole accounts: one process follows each, and announces what is reported."""

import asyncio
import logging

from bot.clock import elapsed
from bot.errors import ProviderError
from bot.services import Services
from bot.store.coordination import Duty, News

log = logging.getLogger(__name__)

DUTY_WAIT = 0.2  # seconds before a process without the duty checks again
SIGN_OF_LIFE = 5.0  # seconds between two announcements that a stream is followed
STREAM_RETRY = 5.0  # seconds between the end of a stream and the next attempt to open one


async def follow_events(services: Services, key: str) -> None:
    """Follow a provider's stream while this process has the duty, until cancelled.

    Without a stream, polls find every end, only later.
    """
    while True:
        if not services.coordination.has(Duty.EVENTS):
            await asyncio.sleep(DUTY_WAIT)
            continue
        try:
            await _follow(services, key)
        except ProviderError as error:
            log.info("event stream of %s ended, opening another: %s", key, error)
        services.coordination.announce(News.STREAM_ENDED, key)
        await asyncio.sleep(STREAM_RETRY)


async def _follow(services: Services, key: str) -> None:
    announced = -SIGN_OF_LIFE
    async for remote_id in services.providers[key].events():
        if elapsed() - announced >= SIGN_OF_LIFE:
            services.coordination.announce(News.STREAM_LIVES, key)
            announced = elapsed()
        if remote_id:
            services.coordination.announce(News.ENDED, remote_id)
