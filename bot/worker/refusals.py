"""What only the operator can put right at an image API, told to their log once and not per job."""

import logging

from bot.errors import ProviderError, Reason
from bot.jobs import Job
from bot.providers.base import Failed

log = logging.getLogger(__name__)

REMEDIES = {
    Reason.AUTH: "it does not accept {key}: make a new one, or look at the account's plan",
    Reason.CREDITS: "its account is empty: buy credits there",
}


class Refusals:
    """Which refusals have been told, by API and reason, until a picture is made there again."""

    def __init__(self) -> None:
        self._told: set[tuple[str, Reason]] = set()

    def tell(self, job: Job, refusal: ProviderError | Failed) -> None:
        """Log why a job got no picture; once, and as an error, what is the operator's matter."""
        api, reason, detail = job.request.model, refusal.reason, refusal.detail
        remedy = REMEDIES.get(reason)
        level = logging.INFO if remedy else logging.WARNING
        log.log(level, "%s refused or failed: %s: %s", api, reason, detail)
        if remedy is None or (api, reason) in self._told:
            return
        self._told.add((api, reason))
        log.error(
            "%s: %s; until then every job there fails, uncharged. It said: %s",
            api,
            remedy.format(key=f"{api.upper()}_API_KEY"),
            detail or "nothing",
        )

    def clear(self, api: str) -> None:
        """It works again: the next refusal is news."""
        self._told -= {(api, reason) for reason in REMEDIES}
