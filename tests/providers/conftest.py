from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
import stamina

from tests.providers.server import Service, service


@pytest.fixture(autouse=True)
def _no_waiting_between_tries() -> Iterator[None]:
    """As many tries as ever, and no time between them."""
    with stamina.set_testing(True, attempts=10, cap=True):
        yield


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
async def api_service() -> AsyncIterator[Service]:
    async with service() as opened:
        yield opened
