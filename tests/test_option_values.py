"""Values in another form than the model's, and refusals that name another model."""

import pytest

from bot.catalog import Catalog, Choice, Flag, ModelSpec, UnknownOption, UnknownValue, Whole
from bot.errors import UserError
from bot.jobs import GenerationRequest, Option
from bot.option_values import chosen, fit, normalised
from bot.providers.oxen.model import oxen_spec
from bot.providers.skills.model import skills_spec

OXEN, SKILLS = oxen_spec(price=7500), skills_spec(price=20_000)
CATALOG = Catalog([OXEN, SKILLS])


def asked(*, inputs: int = 0, **options: Option) -> GenerationRequest:
    pictures = tuple(f"https://example.com/{number}.png" for number in range(inputs))
    return GenerationRequest("", "a fox", options, pictures)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("Square", "Square"),
        ("square", "square"),
        ("SQUARE", "Square"),
        (" square ", "square"),
        ("square (default)", "square"),
        ("PORTRAIT_4_3 (Standard)", "portrait_4_3"),
        ("a (b)", "a (b)"),
        ("round", None),
        ("", None),
        ("(default)", None),
    ],
)
def test_a_choice_is_exact_then_in_another_case_then_a_label(typed: str, meant: str | None) -> None:
    assert chosen(typed, ("Square", "square", "portrait_4_3", "a (b)")) == meant


def test_numbers_and_flags_may_come_as_text() -> None:
    spec = ModelSpec(
        *("one", "one", "One", "One"),
        options={
            "count": Whole(1, 4),
            "expand_prompt": Flag(default=True),
            "shape": Choice(("A",)),
        },
        max_inputs=0,
        price=1,
    )
    options: dict[str, Option] = {
        "count": "3",
        "expand_prompt": "False",
        "shape": "a",
        "style": "Ink",
    }

    assert normalised(options, spec) == {
        "count": 3,
        "expand_prompt": False,
        "shape": "A",
        "style": "Ink",
    }
    assert normalised({"count": "3.0", "expand_prompt": "perhaps"}, spec) == {
        "count": "3.0",
        "expand_prompt": "perhaps",
    }
    assert normalised({"count": "٣", "shape": 7}, spec) == {"count": "٣", "shape": 7}


def test_a_fitting_request_has_the_models_values() -> None:
    fitted = fit(asked(aspect_ratio="16:9 (default)", count=2), OXEN, CATALOG)

    assert fitted.options == {"aspect_ratio": "16:9", "count": 2}


@pytest.mark.parametrize(
    ("request_", "spec", "sentence"),
    [
        (
            asked(image_size="Square_HD"),
            OXEN,
            "Oxen.ai has no option image_size. skills.video has image_size: choose model skills.",
        ),
        (
            asked(inputs=1, match_input_image=True),
            SKILLS,
            "skills.video has no option match_input_image. Oxen.ai has match_input_image: choose "
            "model oxen.",
        ),
        (
            asked(aspect_ratio="2:1 (default)", count=2),
            SKILLS,
            "skills.video has no aspect_ratio 2:1. Oxen.ai has aspect_ratio 2:1: choose model "
            "oxen.",
        ),
    ],
)
def test_a_refusal_names_the_model_that_takes_the_request(
    request_: GenerationRequest, spec: ModelSpec, sentence: str
) -> None:
    with pytest.raises(UserError) as refused:
        fit(request_, spec, CATALOG)

    assert str(refused.value) == sentence


def test_models_of_one_service_are_named_by_their_title() -> None:
    twin = ModelSpec(
        *("twin", "oxen", "Twin", "Oxen.ai"),
        options={"x": Flag(default=True)},
        max_inputs=0,
        price=1,
    )
    with pytest.raises(
        UserError, match=r"^Oxen\.ai has no option x\. Twin has x: choose model twin"
    ):
        fit(asked(x=True), OXEN, Catalog([OXEN, twin]))


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (asked(image_size="square", match_input_image=True, inputs=1), UnknownOption),
        (asked(image_size="huge"), UnknownOption),
        (asked(aspect_ratio="9:8"), UnknownValue),
        (asked(expand_prompt="perhaps"), UnknownValue),
    ],
)
def test_no_model_is_named_that_would_refuse_the_request_too(
    request_: GenerationRequest, error: type[UserError]
) -> None:
    with pytest.raises(error):
        fit(request_, OXEN, CATALOG)


def test_a_model_that_makes_nothing_is_not_named() -> None:
    broken = ModelSpec(
        *("broken", "b", "Broken", "B"),
        options={"x": Flag(default=True)},
        max_inputs=0,
        price=1,
        problem="no prompt",
    )
    with pytest.raises(UnknownOption):
        fit(asked(x=True), OXEN, Catalog([OXEN, broken]))


def test_a_model_is_found_by_its_key_in_any_case_or_by_its_title() -> None:
    assert CATALOG.get("OXEN ") is OXEN
    assert CATALOG.get(SKILLS.title.upper()) is SKILLS
    assert CATALOG.find("dall-e") is None
