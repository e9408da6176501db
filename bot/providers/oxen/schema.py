"""The JSON schema of a model's requests, from the answer of the models endpoint.

A schema is read part by part (apis.md, Oxen: models). What it lacks is not offered. Nothing here
raises.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeGuard

from bot.catalog import MAX_INPUTS, MAX_PROMPT, Choice, Flag, OptionSpec, Text, Whole
from bot.providers.error_mapping import one_line
from bot.providers.oxen.rows import NAMES, InputField
from bot.providers.parsing import JsonObject, is_object

LARGEST_WHOLE = 2**53  # the limit of Discord's options

# Parameters of pictures, by the names that image models have; the first that a schema has is used.
INPUT_NAMES = (
    "input_image",
    "input_images",
    "image",
    "images",
    "image_url",
    "image_urls",
    "image_input",
    "reference_image",
    "reference_images",
)
COMBINERS = ("$ref", "allOf", "anyOf", "oneOf", "not", "if")
DEEPEST = 8  # references that lead to others
KINDS: Mapping[type[OptionSpec], str] = {
    Choice: "string",
    Whole: "integer",
    Flag: "boolean",
    Text: "string",
}


@dataclass(frozen=True, slots=True)
class Schema:
    """The parameters of a model. `problem` says why no request can be made; empty if one can."""

    options: Mapping[str, OptionSpec]
    input: InputField | None = None
    needs_input: bool = False
    longest_prompt: int = MAX_PROMPT
    problem: str = ""


def schema_of(
    model: JsonObject, table: Mapping[str, OptionSpec], *, is_documented: bool = False
) -> Schema | None:
    """Return the schema of a model object; None if the object has none.

    `table` has the options that Easel knows, with the values of the model's document. They stand
    in for what cannot be read of the documented model's schema; of another model, that part is not
    offered.
    """
    for name in ("json_request_schema", "request_schema"):  # both are documented
        stated = model.get(name)
        if stated is not None:
            return _Reader(stated, table, is_documented).read()
    return None


class _Reader:
    def __init__(
        self, stated: object, table: Mapping[str, OptionSpec], is_documented: bool
    ) -> None:
        self._root: JsonObject = stated if is_object(stated) else {}
        self._table = table
        self._is_documented = is_documented

    def read(self) -> Schema:
        root = self._resolved(self._root) or {}
        stated = root.get("properties")
        if not is_object(stated):
            return Schema({}, problem="its parameters cannot be read")
        required = root.get("required")
        needed = (
            {each for each in required if isinstance(each, str)} if _is_list(required) else set()
        )
        field = self._input_field(stated)
        return Schema(
            self._options(stated),
            field,
            needs_input=field is not None and field.name in needed,
            longest_prompt=self._longest_prompt(stated),
            problem=self._problem(stated, needed - {field.name if field else ""}),
        )

    def _problem(self, properties: JsonObject, required: set[str]) -> str:
        prompt = self._resolved(properties.get("prompt"))
        if prompt is None or not _types(prompt) <= {"string"} or _values(prompt) is not None:
            return "it has no text parameter named prompt"
        for name in sorted(required - {"prompt", NAMES["count"], "model"}):
            stated = self._resolved(properties.get(name)) or {}
            if stated.get("default") is None:
                return f"it requires the parameter {one_line(name)[:40]}, which has no default"
        return ""

    def _longest_prompt(self, properties: JsonObject) -> int:
        prompt = self._resolved(properties.get("prompt")) or {}
        longest = prompt.get("maxLength")
        return min(longest, MAX_PROMPT) if _is_whole(longest) and longest > 0 else MAX_PROMPT

    def _input_field(self, properties: JsonObject) -> InputField | None:
        for name in INPUT_NAMES:
            stated = self._resolved(properties.get(name))
            if stated is None:
                continue
            if _is_text(stated):
                return InputField(name)
            items = self._resolved(stated.get("items", {"type": "string"}))
            if _types(stated) != {"array"} or items is None or not _is_text(items):
                continue
            most = stated.get("maxItems", MAX_INPUTS)
            if _is_whole(most) and most > 0 and stated.get("minItems", 0) in (0, 1):
                return InputField(name, min(most, MAX_INPUTS), is_list=True)
        return None

    def _options(self, properties: JsonObject) -> dict[str, OptionSpec]:
        found: dict[str, OptionSpec] = {}
        for name, table in self._table.items():
            # `count` belongs to the queue (apis.md, Oxen: queue), not to the model.
            api = properties.get(NAMES[name])
            option = table if name == "count" else self._option(api, table)
            if option is not None:
                found[name] = option
        return found

    def _option(self, property_: object, table: OptionSpec) -> OptionSpec | None:
        if not is_object(property_):
            return None
        unread = table if self._is_documented else None
        stated = self._resolved(property_)
        if stated is None:
            return unread
        types = _types(stated)
        if types and types != {KINDS[type(table)]}:
            return None
        match table:
            case Choice():
                return _choice(stated, table) or unread
            case Whole():
                return _whole(stated, table) or unread
            case Flag():
                return _flag(stated, table) or unread
            case Text():
                return _text(stated) or unread

    def _resolved(self, stated: object) -> JsonObject | None:
        """Follow references within the schema, and unwrap a nullable property.

        None for any other combination of schemas: its meaning is not known.
        """
        for _ in range(DEEPEST):
            if not is_object(stated):
                return None
            rest = {name: each for name, each in stated.items() if name not in COMBINERS}
            found = [(name, stated[name]) for name in COMBINERS if name in stated]
            if not found:
                return rest
            if len(found) > 1:
                return None
            name, inner = found[0]
            part = self._referred(inner) if name == "$ref" else _only(inner)
            if not is_object(part):
                return None
            stated = {**part, **rest}
        return None

    def _referred(self, address: object) -> object:
        if not isinstance(address, str) or not address.startswith("#/"):
            return None
        found: object = self._root
        for name in address[2:].split("/"):
            found = found.get(name) if is_object(found) else None
        return found


def _only(variants: object) -> object:
    """Return the only schema of a combination that is not that of null."""
    listed = variants if _is_list(variants) else []
    others = [each for each in listed if not is_object(each) or each.get("type") != "null"]
    return others[0] if len(others) == 1 else None


def _types(stated: JsonObject) -> set[str]:
    """Return the types that a property states, without null."""
    types = stated.get("type", [])
    listed = types if _is_list(types) else [types]
    return {each if isinstance(each, str) else repr(each) for each in listed} - {"null"}


def _is_text(stated: JsonObject) -> bool:
    return _types(stated) == {"string"} and not stated.keys() & {"enum", "const"}


def _values(stated: JsonObject) -> list[object] | None:
    """Return the values to which a property is limited; None if it is not."""
    if "const" in stated:
        return [stated["const"]]
    listed = stated.get("enum")
    return [each for each in listed if each is not None] if _is_list(listed) else None


def _choice(stated: JsonObject, table: Choice) -> Choice | None:
    # Discord shows 100 characters of a choice, and none without a visible one.
    values = tuple(
        dict.fromkeys(
            value
            for value in _values(stated) or ()
            if isinstance(value, str)
            and 0 < len(value) <= 100
            and value.isprintable()
            and value.strip()
        )
    )[:100]
    if not values:
        return None
    default = stated.get("default", table.default)
    return Choice(values, default if isinstance(default, str) and default in values else None)


def _whole(stated: JsonObject, table: Whole) -> Whole | None:
    if _values(stated) is not None:
        return None
    low = _bound(stated, "minimum", "exclusiveMinimum", 1, table.minimum)
    high = _bound(stated, "maximum", "exclusiveMaximum", -1, table.maximum)
    if low is None or high is None or low > high:
        return None
    default = stated.get("default", table.default)
    return Whole(low, high, default if _is_whole(default) and low <= default <= high else None)


def _bound(stated: JsonObject, name: str, exclusive: str, step: int, default: int) -> int | None:
    """Return a bound, included; None if it cannot be read."""
    value, added = stated.get(exclusive), step
    if value is True:  # as older schemas write it
        value = stated.get(name)
    elif value is None or value is False:
        value, added = stated.get(name, default), 0
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value + added if _is_whole(value) else None


def _flag(stated: JsonObject, table: Flag) -> Flag | None:
    if _values(stated) is not None:
        return None
    default = stated.get("default")
    return Flag(default) if isinstance(default, bool) else table


def _text(stated: JsonObject) -> Text | None:
    longest = stated.get("maxLength")
    if _values(stated) is not None or (longest is not None and not _is_whole(longest)):
        return None
    if longest is None:
        return Text()
    return Text(longest) if longest > 0 else None


def _is_list(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)


def _is_whole(value: object) -> TypeGuard[int]:
    if not isinstance(value, int) or isinstance(value, bool):
        return False
    return -LARGEST_WHOLE <= value <= LARGEST_WHOLE
