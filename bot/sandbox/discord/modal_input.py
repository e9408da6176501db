"""Fill in a modal: check a member's input for each component."""

from collections.abc import Callable, Mapping
from typing import Final

from bot.sandbox.discord import components as tree
from bot.sandbox.discord.command_input import Entry, MemberError
from bot.sandbox.discord.modals import CHECKBOX, CHECKBOXES, FILE_UPLOAD, LABEL, RADIO
from bot.sandbox.discord.request_body import Json
from bot.sandbox.discord.select_input import choose
from bot.sandbox.discord.uploads import Upload

UNSET: Final = object()


def fill_modal(components: list[Json], values: Mapping[str, object], entry: Entry) -> list[Json]:
    """Return the components of a modal's submission. Raise `MemberError`."""
    known = {item["custom_id"] for item in tree.walk(components) if "custom_id" in item}
    if unknown := set(values) - known:
        raise MemberError(f"the modal has no {sorted(unknown)}")
    return [_top(component, values, entry) for component in components]


def _top(component: Json, values: Mapping[str, object], entry: Entry) -> Json:
    sent: Json = {"type": component["type"], "id": component["id"]}
    if component["type"] == LABEL:
        sent["component"] = _fill(component["component"], values, entry)
    elif component["type"] == tree.ROW:
        sent["components"] = [_fill(item, values, entry) for item in component["components"]]
    return sent


def _fill(field: Json, values: Mapping[str, object], entry: Entry) -> Json:
    sent: Json = {
        "type": field["type"],
        "id": field["id"],
        "custom_id": field["custom_id"],
    }
    value = values.get(field["custom_id"], UNSET)
    return sent | _fillers()[field["type"]](field, value, entry)


def _fillers() -> dict[int, Callable[[Json, object, Entry], Json]]:
    return {
        tree.TEXT_INPUT: _text,
        FILE_UPLOAD: _files,
        RADIO: _radio,
        CHECKBOXES: _checkboxes,
        CHECKBOX: _checkbox,
        **dict.fromkeys(tree.SELECTS, _select),
    }


def _text(field: Json, value: object, _: Entry) -> Json:
    name = field["custom_id"]
    text = (field["value"] or "") if value is UNSET else value
    if not isinstance(text, str):
        raise MemberError(f"{name!r} takes text")
    if field["required"] and not text:
        raise MemberError(f"{name!r} is required")
    if text and not field["min_length"] <= len(text) <= field["max_length"]:
        raise MemberError(
            f"{name!r} takes {field['min_length']} to {field['max_length']} characters"
        )
    return {"value": text}


def _files(field: Json, value: object, entry: Entry) -> Json:
    uploads = _list(value, [])
    _count(field, len(uploads))
    taken = []
    for upload in uploads:
        if not isinstance(upload, Upload):
            raise MemberError(f"{field['custom_id']!r} takes files")
        taken.append(str(entry.take(upload).id))
    return {"values": taken}


def _select(field: Json, value: object, entry: Entry) -> Json:
    chosen = _list(value, _defaults(field) + _default_objects(field, entry))
    if not chosen and not field["required"]:
        return {"values": []}
    return {"values": choose(field, chosen, entry.resolved, entry.spelling)}


def _radio(field: Json, value: object, entry: Entry) -> Json:
    chosen = _defaults(field) if value is UNSET else [] if value is None else [value]
    if field["required"] or chosen:
        _offered(field, chosen)
        _count(field, len(chosen))
    return {"value": _spelt(field, chosen, entry)[0] if chosen else None}


def _checkboxes(field: Json, value: object, entry: Entry) -> Json:
    chosen = _list(value, _defaults(field))
    _offered(field, chosen)
    _count(field, len(chosen))
    return {"values": _spelt(field, chosen, entry)}


def _spelt(field: Json, chosen: list[object], entry: Entry) -> list[object]:
    labels = {option["value"]: option["label"] for option in field["options"]}
    return [entry.spelling.of(value, labels[value]) for value in chosen]


def _checkbox(field: Json, value: object, _: Entry) -> Json:
    ticked = field["default"] if value is UNSET else value
    if not isinstance(ticked, bool):
        raise MemberError(f"{field['custom_id']!r} takes true or false")
    return {"value": ticked}


def _list(value: object, default: list[object]) -> list[object]:
    if value is UNSET:
        return default
    return list(value) if isinstance(value, list | tuple) else [value]


def _defaults(field: Json) -> list[object]:
    return [item["value"] for item in field.get("options", []) if item.get("default")]


def _default_objects(field: Json, entry: Entry) -> list[object]:
    """Return the preselected users, roles and channels that the member still finds."""
    found = [entry.find(int(each["id"])) for each in field.get("default_values", [])]
    return [each for each in found if each is not None]


def _offered(field: Json, chosen: list[object]) -> None:
    offered = {option["value"] for option in field["options"]}
    if any(value not in offered for value in chosen):
        raise MemberError(f"{field['custom_id']!r} does not offer {chosen}")


def _count(field: Json, count: int) -> None:
    if not count and not field["required"]:
        return
    low, high = field["min_values"], field["max_values"]
    if not max(low, int(field["required"])) <= count <= high:
        raise MemberError(f"{field['custom_id']!r} takes {low} to {high}")
