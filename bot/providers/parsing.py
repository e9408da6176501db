"""Parse the answers of the image APIs, whose formats vary (apis.md, Tolerance).

Nothing here raises for an undocumented answer: values that cannot be read are left out.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import TypeGuard

from bot.errors import Reason
from bot.jobs import plain
from bot.providers.base import Canceled, Failed, Finished, Running, Update, Waiting

log = logging.getLogger(__name__)

LONGEST_ID = 200  # characters
LARGEST = Decimal(1_000_000)  # dollars or credits: a larger number is not an amount
LONGEST_AMOUNT = 40  # digits of an amount, those after the point included

LONGEST_WORD = 100  # characters of a status
LONGEST_PROMPT = 10_000  # characters of a rewritten prompt: a longer text is no prompt
MOST_PROMPTS = 4  # one for each picture of a request
PROMPTS = ("actual_prompt", "revised_prompt")

JsonObject = Mapping[str, object]


class State(Enum):
    """The state of a generation, independent of the API's word for it."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELED = "canceled"


WORDS: Mapping[State, str] = {
    State.WAITING: "queued in_queue starting created pending",
    State.RUNNING: "processing in_progress running started",
    State.FINISHED: "succeeded completed success ok",
    State.FAILED: "failed error aborted timeout expired",
    State.CANCELED: "canceled cancelled",
}
STATES = {word: state for state, words in WORDS.items() for word in words.split()}


class Vocabulary:
    """The status words of one API. An unknown word counts as running."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._unknown: set[str] = set()

    def state(self, word: str) -> State:
        word = word[:LONGEST_WORD]
        known = STATES.get(word.strip().lower())
        if known is not None:
            return known
        if word not in self._unknown and len(self._unknown) < 100:  # each is logged once
            self._unknown.add(word)
            log.warning("%s: unknown status %r, taken as running", self._service, word[:40])
        return State.RUNNING


def update_of(
    state: State, *, found: tuple[str, ...], failure: Failed, drawn: tuple[str, ...] = ()
) -> Update:
    """Return the update for a generation with the pictures `found` and the prompts `drawn`.

    `failure` is the update if the generation failed; its cost is also the cost of a success.
    """
    match state:
        case State.WAITING:
            return Waiting()
        case State.RUNNING:
            return Running()
        case State.CANCELED:
            return Canceled()
        case State.FAILED:
            return failure
        case State.FINISHED if found:
            return Finished(found, failure.cost, drawn)
        case State.FINISHED:
            return replace(failure, reason=Reason.NO_PICTURE)


def initial(update: Update) -> Update:
    """Return the update in the answer to a creating request.

    An end without a picture is left to `fetch`, because such answers often have only the status.
    """
    is_empty = isinstance(update, Failed) and update.reason is Reason.NO_PICTURE
    return Running(ended=True) if is_empty else update


def is_object(value: object) -> TypeGuard[JsonObject]:
    """Return whether decoded JSON is an object; the keys are text in any JSON."""
    return isinstance(value, Mapping)


def objects(value: object) -> list[JsonObject]:
    """Return those elements of a JSON list which are objects."""
    return [each for each in value if is_object(each)] if isinstance(value, list) else []


def identifier(value: object) -> str | None:
    """Return a remote id: text that fits into a path and a table, or a number as text."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 10**LONGEST_ID else None
    if not isinstance(value, str):
        return None
    text = value.strip()
    fits = 0 < len(text) <= LONGEST_ID and text.isprintable() and text not in (".", "..")
    return text if fits else None


def amount(value: object, largest: Decimal = LARGEST) -> Decimal | None:
    """Return an amount of money or credits, sent as a number or as text; else None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, int) and value > largest:
        return None  # before the slow conversion of a huge number to text
    if isinstance(value, str) and len(value) > 2 * LONGEST_AMOUNT:
        return None
    try:
        number = Decimal(str(value).strip())
    except (InvalidOperation, ValueError):
        return None
    if not number.is_finite() or not 0 <= number <= largest:
        return None
    # Written without an exponent, `1e-60000000` is a text of 60 MB.
    return number if len(f"{number:e}") + abs(number.adjusted()) <= LONGEST_AMOUNT else None


def prompts(body: JsonObject) -> tuple[str, ...]:
    """Return the prompts that were drawn: in the generation, in its data, beside its pictures.

    Names and places as in apis.md, Tolerance. Texts that no prompt can be are left out.
    """
    inner = [each for name in ("data", "result", "output") if is_object(each := body.get(name))]
    places = [*inner, body]
    listed = [each.get(name) for each in places for name in ("images", "data", "output", "outputs")]
    places += [each for items in listed for each in objects(items)]
    found = (_prompt(each.get(name)) for each in places for name in PROMPTS)
    return tuple(dict.fromkeys(each for each in found if each))[:MOST_PROMPTS]


def _prompt(value: object) -> str:
    """Return a text that can be stored, else an empty one."""
    if not isinstance(value, str) or len(value) > LONGEST_PROMPT:
        return ""
    return plain(value).strip()


def pictures(body: JsonObject) -> tuple[str, ...]:
    """Return the addresses in the first field that has any, in the order of apis.md, Tolerance.

    The other fields repeat them, sometimes by another address of the same picture.
    """
    data = body.get("data")
    inner = data if is_object(data) else {}
    names = ("outputs", "output", "images", "image_urls", "result_url", "url", "image_url")
    fields = [inner.get("images"), inner.get("image"), data]
    fields += [each.get(name) for each in (inner, body) for name in names]
    found_in = [each.get(name) for each in (inner, body) for name in ("result", "output")]
    for each in filter(is_object, found_in):
        fields += [each.get(name) for name in ("images", "image", *names)]
    # An object with an address only: as text, `image` may repeat a picture of the request.
    if is_object(image := body.get("image")):
        fields.append(image)
    for field in fields:
        items = field if isinstance(field, list) else [field]
        found = dict.fromkeys(url for item in items if (url := _picture(item)) is not None)
        if found:
            return tuple(found)
    return ()


def _picture(item: object) -> str | None:
    if not is_object(item):
        return _address(item)
    if (url := _address(item.get("url"))) or (url := _address(item.get("image_url"))):
        return url
    encoded = item.get("b64_json")
    if not isinstance(encoded, str) or not encoded.strip():
        return None
    # The type is read from the bytes later, so that any type serves here.
    return _address(encoded) or f"data:image/png;base64,{encoded.strip()}"


def _address(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    text = value.strip()
    scheme = text[:11].lower()
    if scheme.startswith("data:image/"):
        return text
    fits = len(text) <= 8192 and text.isprintable()
    return text if fits and scheme.startswith(("https://", "http://")) else None
