"""Which image APIs work: heard from every creating request, and asked again where one does not."""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime

from bot.errors import ProviderError, Reason
from bot.providers.base import Provider
from bot.worker.breaker import DOWN, Breaker, State

log = logging.getLogger(__name__)

PLACES = {State.CLOSED: 4, State.HALF_OPEN: 1, State.OPEN: 0}  # requests at once for each API


class Availability:
    def __init__(
        self,
        providers: Mapping[str, Provider],
        now: Callable[[], datetime],
        *,
        changed: Callable[[str, bool], None],
    ) -> None:
        """`changed` is told when an API is held for down, and when it is not any more."""
        self._providers = providers
        self._now = now
        self._changed = changed
        self._breakers = {model: Breaker() for model in providers}
        self._asking: set[str] = set()

    def places(self, model: str) -> int:
        """How many creating requests may be on their way there at once."""
        return PLACES[self._breakers[model].state]

    def hear(self, model: str, error: ProviderError | None) -> None:
        """The outcome of a creating request."""
        breaker = self._breakers[model]
        before = breaker.state
        if error is None:
            breaker.worked()
        else:
            breaker.failed(error, self._now())
        self._tell(model, before)

    def to_ask(self) -> list[str]:
        """APIs that did not work, and that it is time to `ask`."""
        now = self._now()
        return [
            model
            for model, breaker in self._breakers.items()
            if breaker.asks(now) and model not in self._asking
        ]

    async def ask(self, model: str) -> None:
        """Ask an API for something that costs nothing; its answer lets one request try."""
        breaker = self._breakers[model]
        self._asking.add(model)
        try:
            await self._providers[model].ping()
        except ProviderError as error:
            if error.reason in DOWN or error.reason is Reason.RATE_LIMITED:
                breaker.failed(error, self._now())
                return
        finally:
            self._asking.discard(model)
        before = breaker.state
        breaker.answered()
        self._tell(model, before)

    def _tell(self, model: str, before: State) -> None:
        """It is down while nothing may be sent: else nobody would be led there to try."""
        after = self._breakers[model].state
        if after is State.OPEN and before is not State.OPEN:
            log.error("%s does not work: nothing more is sent there until it does again", model)
            self._changed(model, True)
        elif before is State.OPEN and after is not State.OPEN:
            log.warning("%s works again", model)
            self._changed(model, False)
