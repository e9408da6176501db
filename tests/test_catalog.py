from dataclasses import replace
from typing import Any

import pytest

from bot.catalog import (
    BLANK,
    Catalog,
    Choice,
    EmptyPrompt,
    ExclusiveOptions,
    Flag,
    InputRequired,
    InputsRefused,
    LongPrompt,
    LongText,
    ModelSpec,
    ModelUnusable,
    NeedsInput,
    NumberOutOfRange,
    Text,
    UnknownModel,
    UnknownValue,
    Whole,
    check_request,
)
from bot.errors import UserError
from bot.jobs import GenerationRequest, Option
from bot.providers.oxen.model import oxen_spec
from bot.providers.skills.model import skills_spec

OXEN = oxen_spec(price=7500)


def asked(prompt: str = "a fox", *, inputs: int = 0, **options: Option) -> GenerationRequest:
    pictures = tuple(f"https://example.com/{number}.png" for number in range(inputs))
    return GenerationRequest("oxen", prompt, options, pictures)


@pytest.mark.parametrize(
    "request_",
    [
        asked(),
        asked("x" * 2000),
        asked(aspect_ratio="2:1", count=4, negative_prompt="rain", expand_prompt=False),
        asked(seed=0),
        asked(seed=2147483647, count=1),
        asked(inputs=1, match_input_image=True),
        asked(inputs=1, match_input_image=False, aspect_ratio="1:1"),
    ],
)
def test_what_oxen_can_do_is_taken(request_: GenerationRequest) -> None:
    check_request(request_, OXEN)


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (asked("   "), "1 to 2000 characters"),
        (asked("x" * 2001), "2001 characters"),
        (asked(aspect_ratio="5:4"), "1:1, 16:9, 9:16, 4:3, 3:4, 3:2, 2:3, 2:1, 1:2"),
        (asked(count=9), "from 1 to 4"),
        (asked(count=True), "from 1 to 4"),
        (asked(seed=-1), "from 0 to 2147483647"),
        (asked(image_size="square"), "It has: aspect_ratio, count"),
        (asked(seed=1, count=2), "one seed makes one picture"),
        (asked(inputs=2), "one picture, and you gave 2"),
        (asked(match_input_image=True), "needs an input picture"),
        (asked(inputs=1, match_input_image=True, aspect_ratio="1:1"), "exclude each other"),
    ],
)
def test_what_it_cannot_is_refused_with_what_is_possible(
    request_: GenerationRequest, says: str
) -> None:
    with pytest.raises(UserError, match=says):
        check_request(request_, OXEN)


def test_skills_checks_safety_unless_a_member_forbids_it() -> None:
    assert skills_spec(price=20_000).options["safety_checker"] == Flag(default=True)


def test_too_many_pictures_are_refused_with_the_models_own_limit() -> None:
    skills = skills_spec(price=20_000)
    check_request(asked(inputs=4), skills)

    with pytest.raises(UserError, match=r"^skills\.video takes up to 4 pictures, and you gave 5\."):
        check_request(asked(inputs=5), skills)


def test_an_unknown_model_is_refused_with_those_there_are() -> None:
    with pytest.raises(UserError, match=r"no model “dall-e”\. Choose one of: oxen"):
        Catalog([OXEN]).get("dall-e")


def test_without_a_model_the_first_that_has_every_option_is_chosen() -> None:
    other = ModelSpec(
        "other", "other", "Other", "Other", options={"style": Text()}, max_inputs=4, price=1
    )
    catalog = Catalog([OXEN, other])

    assert catalog.choose(asked(count=2)) is OXEN
    assert catalog.choose(asked(style="ink")) is other
    assert catalog.choose(asked(inputs=3)) is other
    assert catalog.choose(asked(inputs=5)) is OXEN  # none: the first one's refusal is shown
    assert Catalog([OXEN, other], default="other").choose(asked()) is other


def test_models_of_a_provider_that_is_down_are_tried_last() -> None:
    twin = ModelSpec("twin", "oxen", "Twin", "Oxen.ai", options={}, max_inputs=4, price=1)
    other = ModelSpec("other", "other", "Other", "Other", options={}, max_inputs=4, price=1)
    catalog = Catalog([OXEN, twin, other])

    assert catalog.choose(asked(), down={"oxen"}) is other
    assert catalog.choose(asked(inputs=2)) is twin


def test_a_stored_jobs_model_is_known_also_where_it_is_no_longer_on_offer() -> None:
    catalog = Catalog([], known=[OXEN])

    assert catalog.about("oxen") is OXEN
    assert catalog.about("gone").service == "gone"


def test_completion_follows_the_model_chosen_so_far() -> None:
    other = ModelSpec("other", "other", "Other", "Other", options={}, max_inputs=0, price=1)
    catalog = Catalog([OXEN, other])

    assert len(catalog.values("aspect_ratio", "oxen")) == 9
    assert catalog.values("aspect_ratio", "other") == ()
    assert len(catalog.values("aspect_ratio")) == 9


def model(key: str = "one", **values: Any) -> ModelSpec:  # noqa: ANN401  # the fields of a model
    usual: dict[str, Any] = {"options": {}, "max_inputs": 0, "price": 1}
    return ModelSpec(key, "company", f"Model {key}", "Company", **usual | values)


@pytest.mark.parametrize(
    ("spec", "request_", "taken"),
    [
        (model(), asked(), True),
        (model(problem="no schema"), asked(), False),
        (model(longest_prompt=5), asked("a fox"), True),
        (model(longest_prompt=4), asked("a fox"), False),
        (model(options={"seed": Whole(0, 9)}), asked(seed=3), True),
        (model(options={"seed": Whole(0, 9), "style": Text()}), asked(seed=3), True),
        (model(options={"seed": Whole(0, 9)}), asked(seed=3, style="ink"), False),
        (model(max_inputs=2), asked(inputs=2), True),
        (model(max_inputs=2), asked(inputs=3), False),
        (model(max_inputs=1, needs_input=True), asked(), False),
        (model(max_inputs=1, needs_input=True), asked(inputs=1), True),
    ],
)
def test_a_model_takes_requests_up_to_its_limits(
    spec: ModelSpec, request_: GenerationRequest, taken: bool
) -> None:
    assert spec.takes(request_) is taken
    try:
        check_request(request_, spec)
    except UserError:
        assert not taken
    else:
        assert taken


@pytest.mark.parametrize(
    ("spec", "request_", "refusal", "says"),
    [
        (model(), asked(inputs=1), InputsRefused, "^Company edits no pictures"),
        (model(problem="no schema"), asked(), ModelUnusable, "makes no pictures at the moment"),
        (model(longest_prompt=4), asked("a fox"), LongPrompt, "has 5 characters.* 1 to 4 char"),
        (
            *(model(max_inputs=1, needs_input=True), asked()),
            *(InputRequired, "^Company makes no picture from a description alone"),
        ),
        (
            *(model(options={"style": Text(3)}), asked(style="inks")),
            *(LongText, "^style has 4 characters; Company takes up to 3"),
        ),
        (
            *(model(options={"safe": Flag(default=True)}), asked(safe="perhaps")),
            *(UnknownValue, "no safe “perhaps”. Choose one of: true, false"),
        ),
        (model(options={"steps": Whole(2, 9)}), asked(steps="3"), NumberOutOfRange, "from 2 to 9"),
        (model(options={"steps": Whole(2, 9)}), asked(steps=1), NumberOutOfRange, "from 2 to 9"),
        (model(options={"steps": Whole(2, 9)}), asked(steps=10), NumberOutOfRange, "from 2 to 9"),
    ],
)
def test_every_limit_has_its_refusal(
    spec: ModelSpec, request_: GenerationRequest, refusal: type[UserError], says: str
) -> None:
    with pytest.raises(refusal, match=says):
        check_request(request_, spec)


def test_values_at_the_limits_are_taken() -> None:
    options = {
        "style": Text(3),
        "note": Text(),
        "safe": Flag(default=True),
        "steps": Whole(2, 9),
        "shape": Choice(("a", "b")),
    }
    for steps in (2, 9):
        request = asked(style="ink", note="x" * 5000, safe=False, steps=steps, shape="b")
        check_request(request, model(options=options))


def test_two_of_three_options_that_exclude_each_other_are_named() -> None:
    shapes = {name: Text() for name in ("aspect_ratio", "image_size", "match_input_image")}
    spec = model(options=shapes, max_inputs=1)
    given = asked(match_input_image=True, image_size="hd", aspect_ratio="1:1", inputs=1)

    with pytest.raises(ExclusiveOptions, match=r"^aspect_ratio and image_size exclude each other"):
        check_request(given, spec)


def test_a_seed_with_one_picture_is_taken_also_where_a_seed_makes_one() -> None:
    options = {"seed": Whole(0, 9), "count": Whole(1, 4)}
    one = model(options=options, seed_makes_one=True)
    check_request(asked(seed=0), one)
    check_request(asked(seed=0, count=1), one)
    check_request(asked(count=2), one)
    check_request(asked(seed=0, count=2), replace(one, seed_makes_one=False))

    with pytest.raises(UserError, match=r"^At Company one seed makes one picture"):
        check_request(asked(seed=0, count=2), one)


def test_the_first_option_that_needs_a_picture_is_named() -> None:
    options = {"strength": Whole(0, 9), "match": Flag(default=False)}
    names = frozenset(options)
    spec = model(options=options, input_options=names, max_inputs=1)
    check_request(asked(strength=1, match=True, inputs=1), spec)
    check_request(asked(match=False), spec)

    with pytest.raises(NeedsInput, match=r"^match needs an input picture"):
        check_request(asked(strength=1, match=True), spec)


@pytest.mark.parametrize("prompt", ["", " \n\t", "\u200d", "\u0301", *BLANK, BLANK])
def test_a_prompt_that_shows_nothing_is_empty(prompt: str) -> None:
    with pytest.raises(EmptyPrompt, match="in 1 to 2000 characters"):
        check_request(asked(prompt), OXEN)


@pytest.mark.parametrize("prompt", ["7", "?", "\U0001f98a", f"{BLANK}x", "e\u0301", "狐"])
def test_a_prompt_with_one_sign_is_not_empty(prompt: str) -> None:
    check_request(asked(prompt), OXEN)


@pytest.mark.parametrize(
    ("typed", "quoted"), [("x" * 40, f"“{'x' * 40}”"), ("x" * 41, f"“{'x' * 40}…”")]
)
def test_a_long_value_is_cut_in_its_refusal(typed: str, quoted: str) -> None:
    with pytest.raises(UnknownModel) as refused:
        Catalog([OXEN]).get(typed)

    assert f"no model {quoted}." in str(refused.value)


@pytest.mark.parametrize("typed", ["one", " ONE ", "Model one", "model ONE"])
def test_a_model_is_found_by_its_key_or_title_in_any_case(typed: str) -> None:
    one, two = model("one"), model("two")

    assert Catalog([two, one]).find(typed) is one
    assert Catalog([two, one]).get(typed) is one
    assert Catalog([two]).find(typed) is None


def test_a_default_that_is_not_on_offer_changes_nothing() -> None:
    one, two = model("one"), model("two")

    assert [*Catalog([one, two], default="gone").specs] == ["one", "two"]
    assert [*Catalog([one, two]).specs] == ["one", "two"]
    assert [*Catalog([one, two], default="two").specs] == ["two", "one"]


def test_models_that_are_closed_to_the_member_come_after_those_that_are_down() -> None:
    catalog = Catalog([model("one"), replace(model("two"), provider="other")])

    assert catalog.choose(asked(), closed={"one"}).key == "two"
    assert catalog.choose(asked(), closed={"one"}, down={"other"}).key == "two"
    assert catalog.choose(asked(), closed={"one", "two"}, down={"company"}).key == "two"
    assert catalog.choose(asked(style="ink"), closed={"one"}).key == "two"  # none takes it


def test_a_price_follows_the_dearest_cost_between_the_list_price_and_its_multiple() -> None:
    catalog = Catalog([model(price=100)])
    prices = {}
    for dearest in (99, 100, 101, 499, 500, 501):
        followed = catalog.follow_cost("one", dearest, most=5)
        assert followed is catalog.specs["one"]
        prices[dearest] = followed.price

    assert prices == {99: 100, 100: 100, 101: 101, 499: 499, 500: 500, 501: 500}
    assert catalog.follow_cost("gone", 500, most=5) is None
    assert [*catalog.specs] == ["one"]


def test_a_new_list_price_counts_beside_the_dearest_cost() -> None:
    catalog = Catalog([model(price=100)])
    catalog.update(model(price=0, price_known=True))
    assert (catalog.specs["one"].price, catalog.specs["one"].price_known) == (0, True)
    catalog.follow_cost("one", 30, most=5)
    catalog.update(model(price=10))
    assert catalog.specs["one"].price == 10  # five times nothing was the most

    catalog.follow_cost("one", 30, most=5)
    for listed, price in ((20, 30), (30, 30), (40, 40), (10, 30)):
        catalog.update(model(price=listed))
        assert catalog.specs["one"].price == price
    catalog.follow_cost("one", 70, most=5)
    assert catalog.specs["one"].price == 50  # five times the newest list price


def test_a_model_that_nobody_knows_any_more_takes_nothing_and_costs_nothing() -> None:
    gone = Catalog([OXEN], known=[model("one")]).about("gone")

    assert (gone.options, gone.max_inputs, gone.price) == ({}, 0, 0)
    assert (gone.key, gone.provider, gone.title) == ("gone", "gone", "gone")


def test_a_model_on_offer_comes_before_a_known_one() -> None:
    old, new = model("one", price=1), model("one", price=2)

    assert Catalog([new], known=[old]).about("one") is new


def test_completion_has_each_value_of_a_choice_once() -> None:
    one = model("one", options={"shape": Choice(("a", "b")), "seed": Whole(0, 9)})
    two = model("two", options={"shape": Choice(("b", "c"))})
    catalog = Catalog([one, two])

    assert catalog.values("shape") == ("a", "b", "c")
    assert catalog.values("shape", "two") == ("b", "c")
    assert catalog.values("shape", "gone") == ("a", "b", "c")
    assert catalog.values("seed") == ()
