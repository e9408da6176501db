"""The JSON schema of a model's requests, from the answer of the models endpoint.

A schema is read part by part (apis.md, Oxen: models). What it lacks is not offered; a value that
cannot be read leaves the table's value in force. Nothing here raises.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeGuard

from bot.catalog import MAX_INPUTS, Choice, Flag, OptionSpec, Text, Whole
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
    problem: str = ""


def schema_of(model: JsonObject, table: Mapping[str, OptionSpec]) -> Schema | None:
    """Return the schema of a model object; None if the object has none.

    `table` has the options that Easel knows, with the values of the model's document.
    """
    for name in ("json_request_schema", "request_schema"):  # both are documented
        schema = model.get(name)
        if is_object(schema) and is_object(properties := schema.get("properties")):
            return _schema(properties, schema.get("required"), table)
    return None


def _schema(properties: JsonObject, required: object, table: Mapping[str, OptionSpec]) -> Schema:
    field = _input_field(properties)
    options: dict[str, OptionSpec] = {}
    for name, known in table.items():
        # `count` belongs to the queue (apis.md, Oxen: queue), not to the model.
        option = known if name == "count" else _option(properties.get(NAMES[name]), known)
        if option is not None:
            options[name] = option
    needed = {each for each in required if isinstance(each, str)} if _is_list(required) else set()
    return Schema(
        options,
        field,
        needs_input=field is not None and field.name in needed,
        problem=_problem(properties, needed - {field.name if field else ""}),
    )


def _problem(properties: JsonObject, required: set[str]) -> str:
    prompt = properties.get("prompt")
    if not is_object(prompt) or not _allows(_without_null(prompt), "string"):
        return "it has no text parameter named prompt"
    for name in sorted(required - {"prompt", NAMES["count"], "model"}):
        stated = properties.get(name)
        if not is_object(stated) or stated.get("default") is None:
            return f"it requires the parameter {name[:40]}, which Easel does not send"
    return ""


def _input_field(properties: JsonObject) -> InputField | None:
    for name in INPUT_NAMES:
        stated = properties.get(name)
        if not is_object(stated):
            continue
        stated = _without_null(stated)
        if _allows(stated, "array"):
            most = stated.get("maxItems")
            limit = most if _is_whole(most) and most > 0 else MAX_INPUTS
            return InputField(name, min(limit, MAX_INPUTS), is_list=True)
        if _allows(stated, "string"):
            return InputField(name)
    return None


def _option(stated: object, table: OptionSpec) -> OptionSpec | None:
    if not is_object(stated):
        return None
    stated = _without_null(stated)
    if "type" in stated and not _allows(stated, KINDS[type(table)]):
        return None
    match table:
        case Choice():
            return _choice(stated, table)
        case Whole():
            return _whole(stated, table)
        case Flag():
            default = stated.get("default")
            return Flag(default) if isinstance(default, bool) else table
        case Text():
            longest = stated.get("maxLength")
            return Text(longest) if _is_whole(longest) and longest > 0 else table


def _allows(stated: JsonObject, kind: str) -> bool:
    """Return whether a property states this type; `string` is the type of one that states none."""
    types = stated.get("type", "string")
    return kind in types if _is_list(types) else types == kind


def _without_null(stated: JsonObject) -> JsonObject:
    """Unwrap a nullable property, which is written as a choice between a type and null."""
    for name in ("anyOf", "oneOf"):
        variants = stated.get(name)
        for variant in variants if _is_list(variants) else []:
            if is_object(variant) and variant.get("type") != "null":
                return {**stated, **variant}
    return stated


def _choice(stated: JsonObject, table: Choice) -> Choice:
    listed = stated.get("enum")
    values = tuple(
        dict.fromkeys(
            value
            for value in (listed if _is_list(listed) else [])
            # Discord shows 100 characters of a choice.
            if isinstance(value, str) and 0 < len(value) <= 100 and value.isprintable()
        )
    )[:100]
    values = values or table.values
    default = stated.get("default", table.default)
    return Choice(values, default if isinstance(default, str) and default in values else None)


def _whole(stated: JsonObject, table: Whole) -> Whole:
    minimum, maximum = stated.get("minimum"), stated.get("maximum")
    low = minimum if _is_whole(minimum) else table.minimum
    high = maximum if _is_whole(maximum) else table.maximum
    if low > high:
        return table
    default = stated.get("default", table.default)
    return Whole(low, high, default if _is_whole(default) and low <= default <= high else None)


def _is_list(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)


def _is_whole(value: object) -> TypeGuard[int]:
    if not isinstance(value, int) or isinstance(value, bool):
        return False
    return -LARGEST_WHOLE <= value <= LARGEST_WHOLE
