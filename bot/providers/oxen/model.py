"""The model of Oxen.ai: the table of its document, and the answer of the models endpoint.

The answer is read part by part (apis.md, Oxen: models): an unreadable part leaves the table's value
in force, and nothing here raises.
"""

from dataclasses import replace
from decimal import Decimal
from typing import Annotated, TypeGuard

from pydantic import Field

from bot.catalog import (
    MAX_COUNT,
    MAX_SEED,
    Choice,
    Flag,
    ModelSpec,
    OptionSpec,
    Text,
    Whole,
)
from bot.ledger import thousandths
from bot.providers.oxen.rows import NAMES
from bot.providers.parsing import JsonObject, amount, is_object
from bot.settings import Address, Credits, ProviderSettings

LARGEST_WHOLE = 2**53  # the limit of Discord's options


def oxen_spec(*, price: int) -> ModelSpec:
    """Return the model by the table, with a price in thousandths of a credit."""
    ratios = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "2:1", "1:2")
    return ModelSpec(
        key="oxen",
        provider="oxen",
        title="Qwen Image 2 Pro at Oxen.ai",
        service="Oxen.ai",
        options={
            "aspect_ratio": Choice(ratios, default="16:9"),
            "count": Whole(1, MAX_COUNT, default=1),
            "negative_prompt": Text(),
            "seed": Whole(0, MAX_SEED),
            "expand_prompt": Flag(default=True),
            "match_input_image": Flag(default=False),
        },
        max_inputs=1,
        price=price,
        seed_makes_one=True,
        input_options=frozenset({"match_input_image"}),
    )


def described(spec: ModelSpec, body: object, *, credits_per_usd: Decimal) -> ModelSpec:
    """Return `spec` with every value that the models endpoint states."""
    if not is_object(body):
        return spec
    inner = body.get("data")
    model = inner if is_object(inner) else body
    properties = _properties(model)
    options = {
        # `count` belongs to the queue (apis.md, Oxen: queue), not to the model.
        name: option if name == "count" else _option(properties.get(NAMES[name]), option)
        for name, option in spec.options.items()
    }
    found = replace(spec, options=options)
    price = _price(model.get("pricing"))
    if price is None:
        return found
    return replace(found, price=thousandths(price * credits_per_usd), price_known=True)


def _properties(model: JsonObject) -> JsonObject:
    for name in ("json_request_schema", "request_schema"):  # both are documented
        schema = model.get(name)
        if is_object(schema) and is_object(properties := schema.get("properties")):
            return properties
    return {}


def _option(stated: object, table: OptionSpec) -> OptionSpec:
    if not is_object(stated):
        return table
    stated = _without_null(stated)
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


def _without_null(stated: JsonObject) -> JsonObject:
    """Unwrap a nullable property, which is written as a choice between a type and null."""
    for name in ("anyOf", "oneOf"):
        variants = stated.get(name)
        for variant in variants if isinstance(variants, list) else []:
            if is_object(variant) and variant.get("type") != "null":
                return {**stated, **variant}
    return stated


def _choice(stated: JsonObject, table: Choice) -> Choice:
    listed = stated.get("enum")
    values = tuple(
        dict.fromkeys(
            value
            for value in (listed if isinstance(listed, list) else [])
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


def _is_whole(value: object) -> TypeGuard[int]:
    if not isinstance(value, int) or isinstance(value, bool):
        return False
    return -LARGEST_WHOLE <= value <= LARGEST_WHOLE


def _price(pricing: object) -> Decimal | None:
    """Return the dollars per picture; the highest of a grid, because a hold must suffice."""
    if not is_object(pricing):
        return None
    if price := amount(pricing.get("cost_per_image")):
        return price
    grid = pricing.get("cost_per_image_grid")
    rows = [row for row in grid.values() if is_object(row)] if is_object(grid) else []
    return max(
        (price for row in rows for each in row.values() if (price := amount(each))), default=None
    )


class OxenSettings(ProviderSettings, env_prefix="OXEN_"):
    """`price` is in credits per picture, until the API reports its own."""

    api_url: Address = "https://hub.oxen.ai/api"
    model: str = "qwen-image-2"
    price: Credits = Decimal("7.5")
    credits_per_usd: Annotated[
        Decimal, Field(gt=0, le=1_000_000, validation_alias="CREDITS_PER_USD")
    ] = Decimal(100)
