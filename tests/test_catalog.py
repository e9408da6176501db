import pytest

from bot.catalog import Catalog, Flag, ModelSpec, Text, check_request
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
