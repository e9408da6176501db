"""What generations cost, asked of their provider with little patience: a picture waits for it."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add

from bot.errors import ProviderError
from bot.ledger import Cost
from bot.providers.base import Provider

log = logging.getLogger(__name__)

AT_ONCE = (0.0,)  # seconds before each question
WAITS = (0.0, 0.4, 0.8, 1.6)  # ... where the cost may be known in a moment
PATIENCE = 5.0  # seconds for all of them, however slow the answers are


async def told(
    provider: Provider, known: Mapping[str, Cost | None], *, waits: Sequence[float] = AT_ONCE
) -> Cost | None:
    """All costs together, by remote id; those that are None are asked for. None where one of them
    is not told in time."""
    costs = dict(known)
    try:
        async with asyncio.timeout(PATIENCE):
            for wait in waits:
                unknown = [remote_id for remote_id, cost in costs.items() if cost is None]
                if not unknown:
                    break
                await asyncio.sleep(wait)
                for remote_id in unknown:
                    costs[remote_id] = await _cost_of(provider, remote_id)
    except TimeoutError:
        log.info("the cost is not told in time")
    found = [cost for cost in costs.values() if cost is not None]
    return reduce(add, found) if found and len(found) == len(costs) else None


async def _cost_of(provider: Provider, remote_id: str) -> Cost | None:
    try:
        return await provider.cost(remote_id)
    except ProviderError as error:
        log.warning("cost of %s: %s", remote_id, error)
        return None
