"""Prices that follow the costs that providers report, so that a hold covers the charge."""

import logging
from datetime import timedelta

from bot.ledger import credits_text
from bot.services import Services
from bot.store import stats

log = logging.getLogger(__name__)

COSTS = 50  # of the newest jobs with a reported cost ...
COSTS_OF = timedelta(days=30)  # ... within this time
MOST = 5  # times the list price; a dearer cost is an error, of Easel's settings or of the provider


class Prices:
    def __init__(self, services: Services) -> None:
        self._database = services.database
        self._catalog = services.catalog
        self._now = services.now
        self._warned: set[str] = set()  # models whose costs exceed the highest price

    async def refresh(self) -> None:
        """Follow the costs of every model on offer, also those that have left the range."""
        for model in list(self._catalog.specs):
            await self.follow(model)

    async def follow(self, model: str) -> None:
        """Raise the model's price to the dearest reported cost of a picture, or lower it again."""
        since = self._now() - COSTS_OF
        async with self._database.reading() as view:
            dearest = await stats.dearest_picture(view, model, since, limit=COSTS)
        spec = self._catalog.follow_cost(model, dearest, most=MOST)
        if spec is None or dearest <= spec.price:
            self._warned.discard(model)
        elif model not in self._warned:
            self._warned.add(model)
            log.warning(
                "a picture of %s cost %s credits, over %s times the list price; held are only %s",
                model,
                credits_text(dearest),
                MOST,
                credits_text(spec.price),
            )
