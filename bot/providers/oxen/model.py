"""What Oxen's models endpoint tells about a model (apis.md, B5), taken part by part.

A part that cannot be read leaves what the table says of it; nothing here raises.
"""

from dataclasses import replace
from decimal import Decimal
from typing import TypeGuard

from bot.catalog import Choice, Flag, ModelSpec, OptionSpec, Text, Whole
from bot.ledger import thousandths
from bot.providers.oxen.rows import NAMES
from bot.providers.parsing import JsonObject, amount, is_object

SCHEMAS = ("json_request_schema", "request_schema")  # its documents know both names
MOST_VALUES = 100
LONGEST_VALUE = 100  # characters: what Discord shows of a choice
LARGEST_WHOLE = 2**53  # Discord's options are no larger


def described(spec: ModelSpec, body: object, *, credits_per_usd: Decimal) -> ModelSpec:
    """`spec` with everything that the answer of the models endpoint tells better."""
    if not is_object(body):
        return spec
    inner = body.get("data")
    model = inner if is_object(inner) else body
    properties = _properties(model)
    options = {
        # `count` is the queue's own (apis.md, B2), not the model's
        name: option if name == "count" else _option(properties.get(NAMES[name]), option)
        for name, option in spec.options.items()
    }
    found = replace(spec, options=options)
    price = _price(model.get("pricing"))
    if price is None:
        return found
    return replace(found, price=thousandths(price * credits_per_usd), price_known=True)


def _properties(model: JsonObject) -> JsonObject:
    for name in SCHEMAS:
        schema = model.get(name)
        if is_object(schema) and is_object(properties := schema.get("properties")):
            return properties
    return {}


def _option(told: object, table: OptionSpec) -> OptionSpec:
    if not is_object(told):
        return table
    told = _without_null(told)
    match table:
        case Choice():
            return _choice(told, table)
        case Whole():
            return _whole(told, table)
        case Flag():
            default = told.get("default")
            return Flag(default) if isinstance(default, bool) else table
        case Text():
            longest = told.get("maxLength")
            return Text(longest) if _is_whole(longest) and longest > 0 else table


def _without_null(told: JsonObject) -> JsonObject:
    """A nullable property is written as a choice between itself and null."""
    for name in ("anyOf", "oneOf"):
        variants = told.get(name)
        for variant in variants if isinstance(variants, list) else []:
            if is_object(variant) and variant.get("type") != "null":
                return {**told, **variant}
    return told


def _choice(told: JsonObject, table: Choice) -> Choice:
    listed = told.get("enum")
    values = tuple(
        dict.fromkeys(
            value
            for value in (listed if isinstance(listed, list) else [])
            if isinstance(value, str) and 0 < len(value) <= LONGEST_VALUE and value.isprintable()
        )
    )[:MOST_VALUES]
    values = values or table.values
    default = told.get("default", table.default)
    return Choice(values, default if isinstance(default, str) and default in values else None)


def _whole(told: JsonObject, table: Whole) -> Whole:
    minimum, maximum = told.get("minimum"), told.get("maximum")
    low = minimum if _is_whole(minimum) else table.minimum
    high = maximum if _is_whole(maximum) else table.maximum
    if low > high:
        return table
    default = told.get("default", table.default)
    return Whole(low, high, default if _is_whole(default) and low <= default <= high else None)


def _is_whole(value: object) -> TypeGuard[int]:
    if not isinstance(value, int) or isinstance(value, bool):
        return False
    return -LARGEST_WHOLE <= value <= LARGEST_WHOLE


def _price(pricing: object) -> Decimal | None:
    """Dollars for a picture; the highest of a grid, since a price is what is held back."""
    if not is_object(pricing):
        return None
    if price := amount(pricing.get("cost_per_image")):
        return price
    grid = pricing.get("cost_per_image_grid")
    rows = [row for row in grid.values() if is_object(row)] if is_object(grid) else []
    return max(
        (price for row in rows for each in row.values() if (price := amount(each))), default=None
    )
