"""Reading what the image APIs answer, which is many things (apis.md, section E).

Nothing here raises for an answer that is not as documented: what cannot be read is left out.
"""

import logging
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import TypeGuard

log = logging.getLogger(__name__)

LONGEST_ID = 200
LONGEST_ADDRESS = 8192  # characters of an address that is not a data URI
MOST_STRANGE = 100  # unknown words that are remembered
LARGEST = Decimal(1_000_000)  # dollars or credits: more than this is not an amount

JsonObject = Mapping[str, object]


class State(Enum):
    """Where a generation is, whichever word its API has for it."""

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
    """The status words of one API. A word that is not known means that it is still at work."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._strange: set[str] = set()  # so that each is logged once

    def state(self, word: str) -> State:
        known = STATES.get(word.strip().lower())
        if known is not None:
            return known
        if word not in self._strange and len(self._strange) < MOST_STRANGE:
            self._strange.add(word)
            log.warning("%s: unknown status %r, taken as running", self._service, word[:40])
        return State.RUNNING


def is_object(value: object) -> TypeGuard[JsonObject]:
    """Whether decoded JSON is an object; its keys are text in any JSON."""
    return isinstance(value, Mapping)


def objects(value: object) -> list[JsonObject]:
    """Those elements of a JSON list which are objects."""
    return [each for each in value if is_object(each)] if isinstance(value, list) else []


def identifier(value: object) -> str | None:
    """A remote id: text that fits into a path and a table, or a number as text."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 10**LONGEST_ID else None
    if not isinstance(value, str):
        return None
    text = value.strip()
    fits = 0 < len(text) <= LONGEST_ID and text.isprintable() and text not in (".", "..")
    return text if fits else None


def amount(value: object, largest: Decimal = LARGEST) -> Decimal | None:
    """A sum of money or credits, as a number or as text; None where it is not one."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, int) and value > largest:
        return None  # text of a huge number is not made in order to be refused
    try:
        number = Decimal(str(value).strip())
    except (InvalidOperation, ValueError):
        return None
    return number if number.is_finite() and 0 <= number <= largest else None


def pictures(body: JsonObject) -> tuple[str, ...]:
    """The addresses of the first place that has any, in the order of apis.md E2.

    The other places repeat them, sometimes by another address of the same picture.
    """
    data = body.get("data")
    inner = data if is_object(data) else {}
    names = ("outputs", "output", "images", "image_urls", "result_url", "url", "image_url")
    places = [inner.get("images"), inner.get("image"), data]
    places += [each.get(name) for each in (inner, body) for name in names]
    for place in places:
        items = place if isinstance(place, list) else [place]
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
    # its kind is told by its bytes, not by what stands here
    return _address(encoded) or f"data:image/png;base64,{encoded.strip()}"


def _address(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    text = value.strip()
    scheme = text[:11].lower()
    if scheme.startswith("data:image/"):
        return text
    fits = len(text) <= LONGEST_ADDRESS and text.isprintable()
    return text if fits and scheme.startswith(("https://", "http://")) else None
