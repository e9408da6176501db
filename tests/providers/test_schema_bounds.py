"""The bounds of what a request schema at Oxen may say, and what stands in for the rest."""

from decimal import Decimal

import pytest

from bot.catalog import MAX_PROMPT, Choice, Flag, OptionSpec, Text, Whole
from bot.providers.oxen import OXEN
from bot.providers.oxen.model import OxenSettings, described, oxen_spec, table_options
from bot.providers.oxen.rows import INPUT, InputField
from bot.providers.oxen.schema import Schema, schema_of

TEXT = {"type": "string"}


def read(properties: object, *, is_documented: bool = False, **root: object) -> Schema:
    model = {"request_schema": {"properties": properties, **root}}
    found = schema_of(model, table_options(), is_documented=is_documented)
    assert found is not None
    return found


def option(name: str, stated: object, *, is_documented: bool = False) -> OptionSpec | None:
    api_name = {"expand_prompt": "enable_prompt_expansion"}.get(name, name)
    schema = read({"prompt": TEXT, api_name: stated}, is_documented=is_documented)
    return schema.options.get(name)


@pytest.mark.parametrize(
    ("stated", "found"),
    [
        ({"enum": ["x" * 100]}, Choice(("x" * 100,))),
        ({"enum": ["a", "a", "b", ""]}, Choice(("a", "b"))),
        ({"enum": ["a"], "default": "b"}, Choice(("a",))),
        ({"enum": ["16:9"]}, Choice(("16:9",), default="16:9")),
        ({"enum": ["a"], "default": ["a"]}, Choice(("a",))),
        (
            {"enum": [str(number) for number in range(101)]},
            Choice(tuple(str(number) for number in range(100))),
        ),
    ],
    ids=range(6),
)
def test_a_choice_has_values_that_discord_shows(
    stated: dict[str, object], found: OptionSpec
) -> None:
    assert option("aspect_ratio", stated) == found


@pytest.mark.parametrize(
    ("stated", "found"),
    [
        ({"minimum": 7, "maximum": 7}, Whole(7, 7)),
        ({"minimum": 1, "maximum": 9, "default": 1}, Whole(1, 9, default=1)),
        ({"minimum": 1, "maximum": 9, "default": 9}, Whole(1, 9, default=9)),
        ({"minimum": 1, "maximum": 9, "default": 0}, Whole(1, 9)),
        ({"minimum": 1, "maximum": 9, "default": 10}, Whole(1, 9)),
        ({"minimum": 1, "maximum": 9, "default": True}, Whole(1, 9)),
        ({"minimum": -(2**53), "maximum": 2**53}, Whole(-(2**53), 2**53)),
        ({"minimum": -(2**53) - 1, "maximum": 9}, None),
        ({"minimum": 0, "maximum": 2**53 + 1}, None),
        ({"minimum": 0.5, "maximum": 9}, None),
        ({"minimum": True, "maximum": 9}, None),
        ({"minimum": 3, "exclusiveMinimum": False, "maximum": 9}, Whole(3, 9)),
        ({"minimum": 0, "maximum": 9, "exclusiveMaximum": True}, Whole(0, 8)),
        ({"minimum": 0, "maximum": 9, "exclusiveMaximum": False}, Whole(0, 9)),
        ({"minimum": 0, "exclusiveMaximum": 9.0}, Whole(0, 8)),
        ({"minimum": 8, "exclusiveMaximum": 8}, None),
    ],
    ids=str,
)
def test_a_whole_number_has_bounds_that_discord_takes(
    stated: dict[str, object], found: OptionSpec | None
) -> None:
    assert option("seed", stated) == found


def test_a_flag_without_a_default_has_that_of_the_table() -> None:
    assert option("expand_prompt", {}) == Flag(default=True)
    assert option("expand_prompt", {"default": False}) == Flag(default=False)
    assert option("expand_prompt", {"default": 0}) == Flag(default=True)


@pytest.mark.parametrize(
    ("name", "stated"),
    [
        ("aspect_ratio", {"enum": [5]}),
        ("aspect_ratio", {"oneOf": [{"enum": ["a"]}, {"enum": ["b"]}]}),
        ("seed", {"enum": [5]}),
        ("expand_prompt", {"const": True}),
        ("negative_prompt", {"maxLength": "x"}),
        ("negative_prompt", {"maxLength": -1}),
    ],
    ids=str,
)
def test_the_table_stands_in_for_the_documented_model_alone(
    name: str, stated: dict[str, object]
) -> None:
    assert option(name, stated, is_documented=True) == table_options()[name]
    assert option(name, stated) is None
    assert option(name, "text", is_documented=True) is None


def nested(number: int) -> dict[str, object]:
    """A schema behind so many references."""
    stated: dict[str, object] = {"enum": ["a"]}
    for _ in range(number):
        stated = {"allOf": [stated]}
    return stated


def test_references_are_followed_seven_times() -> None:
    assert option("aspect_ratio", nested(7)) == Choice(("a",))
    assert option("aspect_ratio", nested(8)) is None


@pytest.mark.parametrize(
    ("stated", "field"),
    [
        ({"type": "array", "maxItems": 1}, InputField("images", 1, is_list=True)),
        ({"type": "array", "minItems": 0}, InputField("images", 4, is_list=True)),
        ({"type": "array", "minItems": 1}, InputField("images", 4, is_list=True)),
        ({"type": "array", "minItems": -1}, None),
        ({"type": "array", "maxItems": 4}, InputField("images", 4, is_list=True)),
        ({"type": "array", "items": {"$ref": "#/x"}}, None),
        ({"type": "array", "items": {"type": "string", "const": "a"}}, None),
        ({"type": ["array", "string"]}, None),
    ],
    ids=str,
)
def test_a_list_of_pictures_may_have_one_or_more(
    stated: dict[str, object], field: InputField | None
) -> None:
    assert read({"prompt": TEXT, "images": stated}).input == field


def test_an_input_that_cannot_be_used_leaves_the_next_one() -> None:
    for unusable in ({"type": "integer"}, {"type": "array", "minItems": 2}):
        assert read({"prompt": TEXT, "image": unusable, "images": TEXT}).input == InputField(
            "images"
        )


def test_a_required_parameter_of_the_request_itself_needs_no_default() -> None:
    own = {"prompt": TEXT, "model": TEXT, "num_generations": {}, "image": TEXT}
    found = read(own, required=[*own])
    assert (found.problem, found.needs_input, found.input) == ("", True, InputField("image"))
    assert read(own, required=["prompt"]).needs_input is False

    found = read({**own, "b": {}, "a": {"default": None}}, required=["b", "a"])
    assert found.problem == "it requires the parameter a, which has no default"


def test_the_longest_prompt_may_be_one_character() -> None:
    for stated, longest in ((1, 1), (MAX_PROMPT, MAX_PROMPT), (MAX_PROMPT + 1, MAX_PROMPT)):
        assert read({"prompt": {**TEXT, "maxLength": stated}}).longest_prompt == longest


def test_without_an_input_its_options_are_not_offered() -> None:
    spec = oxen_spec(price=1)
    both = {"prompt": TEXT, "match_input_image": {"type": "boolean"}, "seed": {}}
    rate = Decimal(100)
    for properties, offered, most in (
        (both, {"count", "seed"}, 0),
        ({**both, "input_image": TEXT}, {"count", "seed", "match_input_image"}, 1),
    ):
        body = {"json_request_schema": {"properties": properties}}
        found, field = described(spec, body, credits_per_usd=rate)
        assert (set(found.options), found.max_inputs) == (offered, most)
        assert (field is not None) == bool(most)
    assert described(spec, [], credits_per_usd=rate) == (spec, INPUT)
    other = oxen_spec(price=1, model="other")
    assert described(other, {}, credits_per_usd=rate) == (other, None)


def test_the_first_stated_schema_counts() -> None:
    model = {
        "json_request_schema": {"properties": {"prompt": TEXT, "seed": {}}},
        "request_schema": {"properties": {"prompt": TEXT}},
    }
    first = schema_of(model, table_options())
    second = schema_of({**model, "json_request_schema": None}, table_options())

    assert first is not None
    assert second is not None
    assert (set(first.options), set(second.options)) == ({"count", "seed"}, {"count"})
    assert schema_of({}, table_options()) is None


def test_the_highest_price_of_a_grid_counts_only_without_a_plain_one() -> None:
    spec, rate = oxen_spec(price=1), Decimal(100)
    grid = {"cost_per_image_grid": {"a": {"x": 0.1, "y": 0.3}, "b": {"x": 0.2}, "c": 9}}
    for pricing, price in (
        (grid, 30_000),
        ({**grid, "cost_per_image": 0.05}, 5000),
        ({**grid, "cost_per_image": 0}, 30_000),
    ):
        found, _ = described(spec, {"pricing": pricing}, credits_per_usd=rate)
        assert (found.price, found.price_known) == (price, True)


def test_the_settings_give_the_price_of_a_picture() -> None:
    settings = OxenSettings.load(None, {"OXEN_API_KEY": "k"})

    assert (settings.price, settings.credits_per_usd) == (Decimal("7.5"), Decimal(100))
    (spec,) = OXEN.specs(settings)
    assert (spec.price, spec.max_inputs, spec.seed_makes_one) == (7500, 1, True)
    assert OXEN.credits_of is not None
    assert OXEN.credits_of(settings, {"usd": Decimal("0.5")}) == 50
    assert OXEN.credits_of(settings, {"total": Decimal(5)}) is None


def test_what_stands_beside_a_reference_comes_first() -> None:
    part = {"enum": ["a", "b"], "default": "a"}
    assert option("aspect_ratio", {"allOf": [part], "default": "b"}) == Choice(("a", "b"), "b")
    assert option("aspect_ratio", {"allOf": [part]}) == Choice(("a", "b"), "a")
    assert option("aspect_ratio", {"allOf": [part], "anyOf": [part]}) is None
    for combiner in ("allOf", "anyOf", "oneOf"):
        assert option("aspect_ratio", {combiner: [part]}) is not None
    for combiner in ("not", "if"):
        assert option("aspect_ratio", {combiner: part, **part}) is None


@pytest.mark.parametrize(
    "variants", [5, None, {}, [], [{"type": "null"}], [5], [5, {"enum": ["a"]}], [None]], ids=str
)
def test_a_combination_of_anything_else_is_not_read(variants: object) -> None:
    assert option("aspect_ratio", {"anyOf": variants}) is None


def test_a_text_may_have_one_character_at_most() -> None:
    assert option("negative_prompt", {"maxLength": 1}) == Text(1)
    assert option("negative_prompt", {}) == Text()


def test_a_reference_leads_into_the_schema_itself() -> None:
    properties = {"prompt": TEXT, "seed": {"$ref": "#/definitions/deep/seed"}}
    cases: list[tuple[object, OptionSpec | None]] = [
        ({"seed": {"maximum": 5}}, Whole(0, 5)),
        ([], None),
        ({}, None),
    ]
    for deep, found in cases:
        assert read(properties, definitions={"deep": deep}).options.get("seed") == found
