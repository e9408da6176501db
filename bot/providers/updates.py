"""From what an API tells of a generation to an Update."""

from bot.errors import Reason
from bot.ledger import Cost
from bot.providers.base import Canceled, Failed, Finished, Running, Update, Waiting
from bot.providers.error_mapping import classify
from bot.providers.parsing import JsonObject, State


def update_of(
    state: State, row: JsonObject, *, found: tuple[str, ...], detail: str, cost: Cost | None
) -> Update:
    """`found` are the row's pictures, `detail` its error's words, fit for a log."""
    match state:
        case State.WAITING:
            return Waiting()
        case State.RUNNING:
            return Running()
        case State.CANCELED:
            return Canceled()
        case State.FAILED:
            return Failed(classify(row), detail, cost)
        case State.FINISHED if found:
            return Finished(found, cost)
        case State.FINISHED:
            return Failed(Reason.NO_PICTURE, detail, cost)


def begun(update: Update) -> Update:
    """What a creating request's answer tells. An end without a picture is left to `fetch`: such
    answers often tell the status alone."""
    ended_without = isinstance(update, Failed) and update.reason is Reason.NO_PICTURE
    return Running() if ended_without else update
