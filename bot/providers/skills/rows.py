"""Read the generations in answers and events of skills.video (apis.md, skills.video: create)."""

from decimal import Decimal

from bot.errors import ProviderError, Reason
from bot.ledger import Cost, thousandths
from bot.providers.api_client import Api
from bot.providers.base import Failed, Figures, Update, Waiting
from bot.providers.error_mapping import classify, detail_of
from bot.providers.parsing import (
    JsonObject,
    Vocabulary,
    amount,
    identifier,
    initial,
    is_object,
    pictures,
    prompts,
    update_of,
)

# The document has `id`; the vendor's own helper reads the others too (apis.md, Tolerance).
IDS = ("id", "generation_id", "prediction_id", "task_id")
STATUSES = ("status", "state", "queue_state", "prediction_status")
USAGE = ("total", "subscription", "permanent")


class Reader:
    """The meaning of a generation's JSON object."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._words = Vocabulary("skills")

    def update(self, row: JsonObject) -> Update:
        """Return the state of a generation. ProviderError if it has no status."""
        word = status_of(row)
        if word is None:
            raise ProviderError(Reason.MALFORMED, "a generation without a status")
        failure = Failed(classify(row), self._api.safe(detail_of(row)), _cost(row))
        return update_of(
            self._words.state(word), found=pictures(row), failure=failure, drawn=prompts(row)
        )

    def first_update(self, row: JsonObject) -> Update:
        """Return the state in the answer to a creating request, which may lack the status."""
        return initial(Waiting() if status_of(row) is None else self.update(row))


def row_of(body: object) -> JsonObject:
    """Return the generation, also from inside an envelope; other answers have no id or status."""
    if not is_object(body):
        return {}
    if id_of(body) is None:
        for name in ("data", "generation", "prediction"):
            if is_object(inner := body.get(name)) and id_of(inner) is not None:
                return inner
    return body


def id_of(row: JsonObject) -> str | None:
    found = (identifier(row.get(name)) for name in IDS)
    return next((each for each in found if each is not None), None)


def status_of(row: JsonObject) -> str | None:
    words = (row.get(name) for name in STATUSES)
    return next((word for word in words if isinstance(word, str) and word.strip()), None)


def _cost(row: JsonObject) -> Cost | None:
    """Return the cost in credits; the API has those of a subscription and permanent ones."""
    usage = row.get("usage")
    if not is_object(usage):
        return None
    used = {name: number for name in USAGE if (number := amount(usage.get(name))) is not None}
    total = credits_of(used)
    if total is None:
        return None
    return Cost(thousandths(total), {name: f"{number:f}" for name, number in used.items()})


def credits_of(figures: Figures) -> Decimal | None:
    """Return the credits of a cost by the API's figures."""
    used = {name: figures[name] for name in USAGE if name in figures}
    return used.get("total", sum(used.values(), Decimal(0))) if used else None
