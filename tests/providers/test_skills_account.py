"""The account at skills.video: its credits, what the check says of them, and the cost of a job."""

from decimal import Decimal

import aiohttp
import pytest

from bot.catalog import ModelSpec, check_request
from bot.errors import ProviderError, Reason, UserError
from bot.jobs import GenerationRequest, Option
from bot.ledger import Cost
from bot.providers.base import Failed, Finding, Finished
from bot.providers.oxen.model import oxen_spec
from bot.providers.skills import SKILLS
from bot.providers.skills.model import SkillsSettings, skills_spec
from bot.providers.skills.provider import Skills
from bot.providers.skills.rows import credits_of
from tests.providers.clients import oxen_at, skills_at
from tests.providers.server import Service


@pytest.fixture
def skills(session: aiohttp.ClientSession, api_service: Service) -> Skills:
    return skills_at(session, api_service.url)


@pytest.mark.parametrize(
    ("left", "floor", "text", "remedy"),
    [
        ("20", "", "the key is valid; credits: total 20", ""),
        (
            "19.999",
            "",
            "not enough for a picture: total 19.999",
            "Buy credits at https://skills.video.",
        ),
        ("20", "20", "the key is valid; credits: total 20; SKILLS_FLOOR is 20", ""),
        ("20", "0", "the key is valid; credits: total 20; SKILLS_FLOOR is 0", ""),
        (
            "20",
            "20.001",
            "under SKILLS_FLOOR (20.001), new jobs are refused: total 20",
            "Buy credits at https://skills.video, or lower SKILLS_FLOOR.",
        ),
        (None, "", "the key is valid; reports no credits", ""),
        (
            None,
            "5",
            "the key is valid; reports no credits",
            "SKILLS_FLOOR has no effect without a balance.",
        ),
    ],
    ids=str,
)
async def test_the_check_compares_the_credits_with_the_price_and_the_floor(
    session: aiohttp.ClientSession,
    api_service: Service,
    left: str | None,
    floor: str,
    text: str,
    remedy: str,
) -> None:
    more = {"SKILLS_FLOOR": floor} if floor else {}
    skills = skills_at(session, api_service.url, **more)
    api_service.answers({"total": left})

    assert await skills.check() == (Finding(text, remedy),)
    settings = SkillsSettings.load(None, {"SKILLS_API_KEY": "k", **more})
    assert SKILLS.floor(settings) == (Decimal(floor) if floor else None)


@pytest.mark.parametrize(
    ("cost", "text", "remedy"),
    [
        ("0.075", "the key is valid; Qwen Image 2 Pro at Oxen.ai, 7.5 credits per picture", ""),
        (
            None,
            "reports no price",
            "OXEN_PRICE is used instead: compare the price with https://www.oxen.ai.",
        ),
    ],
)
async def test_the_check_of_oxen_says_the_price(
    session: aiohttp.ClientSession, api_service: Service, cost: str | None, text: str, remedy: str
) -> None:
    api_service.answers({"generations": [], "pricing": {"cost_per_image": cost}})

    found = await oxen_at(session, api_service.url).check()
    assert found[-1] == Finding(text, remedy)
    assert found[:-1] == ((Finding("the key is valid"),) if remedy else ())
    assert [each.path for each in api_service.asked] == ["/ai/queue", "/ai/models/qwen-image-2"]


@pytest.mark.parametrize(
    ("answer", "left"),
    [
        ({"remaining": 1, "available": 2, "balance": 3, "credits": 4, "total": 9}, 1),
        ({"available": 2, "balance": 3, "credits": 4, "total": 9}, 2),
        ({"balance": 3, "credits": 4, "total": 9}, 3),
        ({"credits": 4, "total": 9, "subscription": 5, "permanent": 6}, 4),
        ({"total": 9, "subscription": 5, "permanent": 6}, 9),
        ({"subscription": 5, "permanent": 6}, 11),
        ({"total": 9, "data": {"total": 8}}, 8),
        ({"balance": {"permanent": 6}}, 6),
        ({"total": 10**15}, 10**15),
    ],
    ids=str,
)
async def test_the_plain_name_of_a_balance_comes_first(
    skills: Skills, api_service: Service, answer: dict[str, object], left: int
) -> None:
    api_service.answers(answer)

    assert await skills.balance() == left * 1000


async def test_a_balance_of_a_number_that_no_account_has_is_none(
    skills: Skills, api_service: Service
) -> None:
    api_service.answers({"total": 10**15 + 1})

    with pytest.raises(ProviderError) as caught:
        await skills.balance()
    assert caught.value.reason is Reason.MALFORMED


def test_the_total_of_a_cost_counts_before_the_sum_of_its_parts() -> None:
    parts = {"subscription": Decimal(5), "permanent": Decimal(6)}
    assert credits_of(parts) == 11
    assert credits_of({**parts, "total": Decimal(0)}) == 0
    assert credits_of({"usd": Decimal(1)}) is None


async def test_a_failed_generation_may_cost(skills: Skills, api_service: Service) -> None:
    api_service.answers({"id": "g", "status": "FAILED", "usage": {"permanent": 3}})
    cost = Cost(3000, {"permanent": "3"})
    assert await skills.cost("g") == cost
    assert await skills.fetch("g") == Failed(Reason.UNKNOWN, "", cost)

    api_service.answers({"id": "g", "status": "CANCELED", "usage": {"permanent": 3}})
    assert await skills.cost("g") is None


async def test_an_id_is_quoted_in_the_path(skills: Skills, api_service: Service) -> None:
    api_service.answers({"id": "a/b?c", "status": "COMPLETED", "url": "https://x/1"})

    assert await skills.fetch("a/b?c") == Finished(("https://x/1",))
    await skills.ping()
    paths = [each.path for each in api_service.asked]
    assert paths == ["/api/v1/generation/a%2Fb%3Fc", "/api/v1/credits"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"error": "x", "message": "flagged"}, Reason.REJECTED),
        ({"id": "g", "error": "x", "message": "flagged"}, Reason.REJECTED),
        ({"id": "h", "error": "x", "message": "flagged"}, Reason.MALFORMED),
        ({"id": "g"}, Reason.MALFORMED),
    ],
    ids=str,
)
async def test_an_answer_without_a_status_is_an_error(
    skills: Skills, api_service: Service, body: dict[str, object], reason: Reason
) -> None:
    api_service.answers(body)

    with pytest.raises(ProviderError) as caught:
        await skills.fetch("g")
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    "spec", [skills_spec(price=1), oxen_spec(price=1)], ids=lambda each: each.key
)
def test_the_values_at_the_bounds_of_a_model_are_accepted(spec: ModelSpec) -> None:
    largest = 2**31 - 1
    within: list[dict[str, Option]] = [{"count": 1}, {"count": 4}, {"seed": 0}, {"seed": largest}]
    beyond: list[dict[str, Option]] = [{"count": 0}, {"count": 5}, {"seed": -1}]
    beyond.append({"seed": largest + 1})
    if spec.key == "skills":
        within.append({"negative_prompt": "x" * 500})
        beyond.append({"negative_prompt": "x" * 501})
    for options in within:
        check_request(GenerationRequest(spec.key, "a cat", options), spec)
    for options in beyond:
        with pytest.raises(UserError):
            check_request(GenerationRequest(spec.key, "a cat", options), spec)


def test_the_defaults_are_those_of_the_documents() -> None:
    for spec, ratio in ((skills_spec(price=1), "1:1"), (oxen_spec(price=1), "16:9")):
        found = {name: getattr(each, "default", None) for name, each in spec.options.items()}
        assert (found["count"], found["aspect_ratio"], found["seed"]) == (1, ratio, None)
        assert found["expand_prompt"] is True
        assert found.get("safety_checker", True) is True
        assert found.get("match_input_image", False) is False
        assert found.get("output_format", "png") == "png"


def test_the_key_is_sent_to_the_api_alone() -> None:
    skills = skills_at(url="https://open.skills.example", key="secret")
    own = {"Authorization": "Bearer secret"}

    assert skills.headers_for("https://open.skills.example/output/1.png") == own
    assert skills.headers_for("https://cdn.skills.example/output/1.png") == {}
