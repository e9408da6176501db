"""Parse Oxen's rows of generations, and match them with the requests that made them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.catalog import Choice, Flag, ModelSpec, OptionSpec, Text, Whole
from bot.jobs import GenerationRequest, Option
from bot.providers.parsing import JsonObject, identifier, is_object, objects, pictures

# Easel's options by their names in Oxen's requests and rows (apis.md, Oxen: queue; Oxen: models).
NAMES: Mapping[str, str] = {
    "aspect_ratio": "aspect_ratio",
    "count": "num_generations",
    "negative_prompt": "negative_prompt",
    "seed": "seed",
    "expand_prompt": "enable_prompt_expansion",
    "match_input_image": "match_input_image",
}


@dataclass(frozen=True, slots=True)
class InputField:
    """The parameter of a model that takes input pictures, `most` at most."""

    name: str
    most: int = 1
    is_list: bool = False


INPUT = InputField("input_image")  # of the documented model (apis.md, Oxen: models)
SKEW = timedelta(seconds=15)  # the largest difference between Oxen's clock and Easel's
MILLISECONDS_FROM = 100_000_000_000  # in seconds, this would be the year 5138


def parameters(
    request: GenerationRequest, field: InputField | None = INPUT
) -> dict[str, Option | list[str]]:
    """Return the request by Oxen's names, without the options that were not given."""
    body: dict[str, Option | list[str]] = {"prompt": request.prompt}
    body |= {NAMES.get(name, name): value for name, value in request.options.items()}
    if request.inputs and field is not None:
        body[field.name] = list(request.inputs) if field.is_list else request.inputs[0]
    return body


def id_of(row: JsonObject) -> str | None:
    return identifier(row.get("generation_id")) or identifier(row.get("id"))


def rows_of(body: object) -> tuple[JsonObject, ...] | None:
    """Return the rows of a list, or one row as a list; None if the answer has neither."""
    if is_object(body):
        for name in ("generations", "data"):
            if isinstance(listed := body.get(name), list):
                return tuple(objects(listed))
        row = unwrapped(body)
        return (row,) if id_of(row) is not None else None
    return tuple(objects(body)) if isinstance(body, list) else None


def result_of(row: JsonObject, field: InputField | None = INPUT) -> tuple[str, ...]:
    """Return the pictures, from `result_url` first: a row repeats the request's addresses, too."""
    without_inputs = {name: each for name, each in row.items() if not field or name != field.name}
    return pictures({"result_url": row.get("result_url")}) or pictures(without_inputs)


def event_id(data: str) -> str | None:
    """Return the id in an event's data (apis.md, Oxen: events)."""
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return id_of(event) if is_object(event) else None


def unwrapped(body: JsonObject) -> JsonObject:
    """Return the row in an envelope, else the answer itself (apis.md, Oxen: queue)."""
    for name in ("generation", "data"):
        inner = body.get(name)
        if is_object(inner) and (id_of(inner) or "status" in inner):
            return inner
    return body


def enqueued_at(row: JsonObject) -> float | None:
    """Return the time of the request in Unix seconds."""
    moment = _seconds(row.get("enqueued_at"))
    return moment if moment is not None else _seconds(row.get("created_at"))


def _seconds(value: object) -> float | None:
    """Read seconds or milliseconds, as a number or as text, or an ISO 8601 date and time."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return _iso(value) if isinstance(value, str) else None
    seconds = seconds / 1000 if seconds >= MILLISECONDS_FROM else seconds
    return seconds if 0 <= seconds < MILLISECONDS_FROM else None


def _iso(value: str) -> float | None:
    try:
        moment = datetime.fromisoformat(value)
        return moment.timestamp() if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def fits(
    row: JsonObject,
    request: GenerationRequest,
    *,
    model: str,
    spec: ModelSpec,
    since: datetime,
    until: datetime,
    field: InputField | None = INPUT,
) -> bool:
    """Return whether a request sent from `since` to `until` can have made this row.

    The row must have everything that was sent, and nothing else but defaults: a wrong picture must
    never be adopted, while a missed one only costs a refund.
    """
    moment = enqueued_at(row)
    if moment is None:
        return False
    if not (since - SKEW).timestamp() <= moment <= (until + SKEW).timestamp():
        return False
    if (row.get("model_name") or row.get("model")) != model:
        return False
    if row.get("media_type") not in (None, "image"):
        return False
    sent = parameters(request, field)
    # A row need not repeat this parameter of the queue: each generation has a row of its own.
    sent.pop("num_generations", None)
    count = row.get("num_generations")
    if count is not None and not _same(count, request.count):
        return False
    if not all(_same(row.get(name), value) for name, value in sent.items()):
        return False
    unsent = {name: api for name, api in NAMES.items() if api not in sent and name != "count"}
    if not all(_is_default(row.get(api), spec.options.get(name)) for name, api in unsent.items()):
        return False
    name = field.name if field else INPUT.name
    return name in sent or row.get(name) in (None, "", [])


def _is_default(value: object, option: OptionSpec | None) -> bool:
    """Return whether a value that was not sent is only the API's own default."""
    match option:
        case Choice(default=default) | Flag(default=default) | Whole(default=default):
            return value is None or (default is not None and _same(value, default))
        case Text():
            return value in (None, "")
        case None:
            return value in (None, "", False)


def _same(value: object, sent: Option | list[str]) -> bool:
    """Return whether two values are equal, also if the API repeats one as text."""
    if isinstance(sent, bool):
        return value is sent or (
            isinstance(value, str) and value.strip().lower() == str(sent).lower()
        )
    if isinstance(sent, int):
        return _equals(value, sent)
    return value == sent


def _equals(value: object, sent: int) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return False
    try:
        return float(value) == sent
    except (ValueError, OverflowError):
        return False
