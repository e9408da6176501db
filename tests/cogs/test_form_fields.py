"""The forms Remix and Edit, and that of the message menu, as Discord shows them."""

from dataclasses import replace
from typing import Any

import discord
import pytest
from discord import ui

from bot.catalog import Choice, ModelSpec, OptionSpec, Text, Whole
from bot.jobs import Option
from bot.providers.oxen.model import oxen_spec
from bot.providers.skills.model import skills_spec
from cogs.ui.forms import counts_of, edit_form, menu_form, remix_form, shapes_of
from tests.support.views import DONE, ID, chosen, with_options, with_prompt

OXEN, SKILLS = oxen_spec(price=7500), skills_spec(price=20_000)
PARAGRAPH = discord.TextStyle.paragraph.value
RATIOS = ["1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "2:1", "1:2"]


def model(**options: OptionSpec) -> ModelSpec:
    return replace(OXEN, options=options)


def fields(form: ui.Modal) -> dict[str, dict[str, Any]]:
    """Return the fields of a form by the names of their values."""
    data: dict[str, Any] = form.to_dict()
    found = {each["component"]["custom_id"]: each for each in data["components"]}
    return {
        name: each["component"] | {"label": each["label"], "hint": each.get("description")}
        for name, each in found.items()
    }


def offered(field: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["value"], each["label"]) for each in field["options"]]


def remix(spec: ModelSpec = OXEN, **options: Option) -> dict[str, dict[str, Any]]:
    return fields(remix_form(with_options(DONE, **options), spec))


async def test_a_form_is_not_stored() -> None:
    form = remix_form(DONE, OXEN)

    assert form.is_finished()
    assert form.timeout is None


def test_a_remix_begins_with_the_request() -> None:
    form = remix_form(DONE, OXEN)
    assert (form.custom_id, form.title) == (f"easel:remix:{ID}", "Remix")

    found = fields(form)
    assert {name: each["label"] for name, each in found.items()} == {
        "prompt": "The picture to draw",
        "negative": "Things that must not be in the picture",
        "shape": "The shape of the picture",
        "count": "The number of pictures",
        "switches": "Options",
    }
    prompt = found["prompt"]
    assert (prompt["value"], prompt["max_length"], prompt["style"]) == ("a fox", 2000, PARAGRAPH)
    assert [each["required"] for each in found.values()] == [True, False, True, True, False]
    assert [found[name]["max_values"] for name in ("shape", "count")] == [1, 1]
    assert found["switches"]["min_values"] == 0
    assert offered(found["count"]) == [("1", "1"), ("2", "2"), ("3", "3"), ("4", "4")]
    assert [chosen(found[name]) for name in ("shape", "count", "switches")] == [
        ["default"],
        ["1"],
        ["new_seed", "expand"],
    ]


def test_a_remix_keeps_the_options_of_the_request() -> None:
    found = remix(aspect_ratio="16:9", count=3, negative_prompt="rain", expand_prompt=False)

    assert chosen(found["shape"]) == ["aspect_ratio=16:9"]
    assert chosen(found["count"]) == ["3"]
    assert chosen(found["switches"]) == ["new_seed"]
    assert found["negative"]["value"] == "rain"


def test_a_remix_may_begin_with_another_prompt() -> None:
    found = fields(remix_form(DONE, OXEN, prompt="a hen", expand=False))
    assert found["prompt"]["value"] == "a hen"
    assert chosen(found["switches"]) == ["new_seed"]

    job = with_options(DONE, expand_prompt=False)
    assert chosen(fields(remix_form(job, OXEN, expand=True))["switches"]) == ["new_seed", "expand"]
    assert "value" not in fields(remix_form(with_prompt(DONE, ""), OXEN))["prompt"]


def test_the_prompt_is_expanded_as_the_request_says_else_as_the_model_does() -> None:
    assert chosen(remix(OXEN)["switches"]) == ["new_seed", "expand"]
    assert chosen(remix(model(seed=Whole(0, 9)))["switches"]) == ["new_seed"]
    assert chosen(remix(model(), expand_prompt=True)["switches"]) == ["new_seed", "expand"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "The request had no seed, so a new one is drawn in any case"),
        ({"seed": 0}, "Else seed 0 is used again"),
    ],
)
def test_a_new_seed_is_drawn_unless_the_member_clears_it(
    options: dict[str, Option], text: str
) -> None:
    seed, expand = remix(OXEN, **options)["switches"]["options"]

    assert (seed["label"], seed["description"], seed["default"]) == ("New seed", text, True)
    assert expand["label"] == "Expand the prompt: the model rewrites it before drawing"


@pytest.mark.parametrize(
    ("option", "longest"),
    [
        (Text(), 4000),
        (Text(500), 500),
        (Text(3999), 3999),
        (Text(4001), 4000),
        (Choice(("a",)), None),
        (None, None),
    ],
)
def test_what_must_not_be_in_the_picture_is_asked_of_models_that_take_it(
    option: OptionSpec | None, longest: int | None
) -> None:
    spec = model(**{"negative_prompt": option} if option else {})
    field = remix(spec, negative_prompt="x" * 5000).get("negative")

    assert (field and field["max_length"]) == longest
    assert (field and len(field["value"])) == longest


def test_the_prompt_is_as_long_as_the_model_takes() -> None:
    job = with_prompt(DONE, "x" * 1001)
    field = fields(remix_form(job, replace(OXEN, longest_prompt=1000)))["prompt"]

    assert (field["max_length"], len(field["value"])) == (1000, 1000)


def test_the_shapes_are_the_values_of_the_model() -> None:
    default = ("default", "As the model chooses")
    ratios = [(f"aspect_ratio={each}", each) for each in RATIOS]

    assert [*shapes_of(OXEN).items()] == [default, *ratios]
    sizes = [*shapes_of(SKILLS).items()][8:]
    assert sizes[0] == ("image_size=square_hd", "square_hd")
    assert len(sizes) == 6
    assert [*shapes_of(model(aspect_ratio=Whole(1, 2))).items()] == [default]
    many = model(aspect_ratio=Choice(tuple(map(str, range(30)))))
    assert [*shapes_of(many)][-1] == "aspect_ratio=23"
    assert len(shapes_of(many)) == 25


def test_the_number_of_pictures_is_that_of_the_model() -> None:
    assert [*counts_of(model(count=Whole(1, 2)))] == ["1", "2"]
    assert counts_of(model(count=Choice(("5",)))) == counts_of(model()) == {"1": "1"}


def test_a_value_of_a_model_is_shortened_to_a_label() -> None:
    (_, (value, label)) = offered(remix(model(aspect_ratio=Choice(("x" * 101,))))["shape"])

    assert (value, label) == (f"aspect_ratio={'x' * 101}", "x" * 99 + "…")


def test_an_edit_of_one_picture_asks_for_the_change_alone() -> None:
    form = edit_form(DONE, [2], replace(OXEN, longest_prompt=900))
    assert (form.custom_id, form.title) == (f"easel:edit:{ID}", "Edit")

    found = fields(form)
    assert [*found] == ["prompt", "references"]
    prompt, references = found.values()
    assert (prompt["label"], prompt["max_length"]) == ("The change to make", 900)
    assert prompt["required"]
    assert "value" not in prompt
    assert (references["label"], references["hint"]) == (
        "Further pictures, if you like",
        "Up to 3 as PNG, JPEG or WebP, if the model accepts several",
    )
    assert (references["min_values"], references["max_values"]) == (0, 3)
    assert not references["required"]


def test_an_edit_of_several_pictures_asks_first_for_the_one() -> None:
    found = fields(edit_form(DONE, [2, 4], OXEN))

    assert [*found] == ["picture", "prompt", "references"]
    assert found["picture"]["label"] == "The picture to edit"
    assert offered(found["picture"]) == [("2", "Picture 2"), ("4", "Picture 4")]
    assert chosen(found["picture"]) == ["2"]
    assert found["picture"]["max_values"] == 1


def test_a_message_with_one_picture_needs_no_choice() -> None:
    form = menu_form(77, ["a.png"])
    assert (form.custom_id, form.title) == ("easel:edit:77", "Edit image")

    found = fields(form)
    assert [*found] == ["prompt"]
    assert (found["prompt"]["label"], found["prompt"]["max_length"]) == (
        "The change to make",
        2000,
    )


@pytest.mark.parametrize(("number", "most"), [(2, 2), (3, 3), (4, 4), (5, 4)])
def test_of_the_pictures_of_a_message_up_to_four_are_chosen(number: int, most: int) -> None:
    found = fields(menu_form(77, [f"{each}.png" for each in range(number)]))
    pictures = found["pictures"]

    assert [*found] == ["prompt", "pictures"]
    assert pictures["label"] == "The pictures to edit"
    assert (pictures["min_values"], pictures["max_values"]) == (1, most)
    assert offered(pictures)[:2] == [("0", "1: 0.png"), ("1", "2: 1.png")]
    assert len(offered(pictures)) == number
    assert chosen(pictures) == ["0"]
