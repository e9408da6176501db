"""The model of Oxen.ai: the table of its document, and the answer of the models endpoint."""

from dataclasses import replace
from decimal import Decimal
from typing import Annotated

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
from bot.providers.oxen.rows import INPUT, InputField
from bot.providers.oxen.schema import Schema, schema_of
from bot.providers.parsing import amount, is_object
from bot.settings import Address, Credits, ProviderSettings

DOCUMENTED = "qwen-image-2"  # the model whose options are known without its schema


def table_options() -> dict[str, OptionSpec]:
    """Return the options of the documented model (apis.md, Oxen: models)."""
    ratios = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "2:1", "1:2")
    return {
        "aspect_ratio": Choice(ratios, default="16:9"),
        "count": Whole(1, MAX_COUNT, default=1),
        "negative_prompt": Text(),
        "seed": Whole(0, MAX_SEED),
        "expand_prompt": Flag(default=True),
        "match_input_image": Flag(default=False),
    }


def oxen_spec(*, price: int, model: str = DOCUMENTED) -> ModelSpec:
    """Return the model by the table, with a price in thousandths of a credit.

    A `model` other than the documented one has the options of the queue alone until its schema has
    been read: a service may drop an unknown parameter silently, and charge for the result.
    """
    options = table_options()
    is_documented = model == DOCUMENTED
    return ModelSpec(
        key="oxen",
        provider="oxen",
        title="Qwen Image 2 Pro at Oxen.ai",
        service="Oxen.ai",
        options=options if is_documented else {"count": options["count"]},
        max_inputs=INPUT.most if is_documented else 0,
        price=price,
        seed_makes_one=True,
        input_options=frozenset({"match_input_image"}),
    )


def described(
    spec: ModelSpec, body: object, *, credits_per_usd: Decimal, is_documented: bool = True
) -> tuple[ModelSpec, InputField | None]:
    """Return `spec` with every value that the models endpoint states, and the input's parameter."""
    field = INPUT if spec.max_inputs else None
    if not is_object(body):
        return spec, field
    inner = body.get("data")
    model = inner if is_object(inner) else body
    if schema := schema_of(model, table_options(), is_documented=is_documented):
        spec, field = _with_schema(spec, schema), schema.input
    price = _price(model.get("pricing"))
    if price is not None:
        spec = replace(spec, price=thousandths(price * credits_per_usd), price_known=True)
    return spec, field


def _with_schema(spec: ModelSpec, schema: Schema) -> ModelSpec:
    hidden = spec.input_options if schema.input is None else frozenset[str]()
    return replace(
        spec,
        options={name: each for name, each in schema.options.items() if name not in hidden},
        max_inputs=schema.input.most if schema.input else 0,
        needs_input=schema.needs_input,
        longest_prompt=schema.longest_prompt,
        problem=schema.problem,
    )


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
    model: str = DOCUMENTED
    price: Credits = Decimal("7.5")
    credits_per_usd: Annotated[
        Decimal, Field(gt=0, le=1_000_000, validation_alias="CREDITS_PER_USD")
    ] = Decimal(100)
