"""The provider against answers as the documents of skills.video show them (apis.md)."""

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from decimal import Decimal

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.catalog import check_request
from bot.errors import ProviderError, Reason, Taken
from bot.jobs import GenerationRequest, Option
from bot.ledger import Cost
from bot.providers.base import (
    Canceled,
    Failed,
    Finished,
    Provider,
    Running,
    Submitted,
    Update,
    Waiting,
)
from bot.providers.skills.model import skills_spec
from bot.providers.skills.provider import Skills
from tests.providers.clients import MEMBER, answering, skills_at
from tests.providers.server import Reply, Service

URL = "https://cdn.example.com/output/cat.png"
OTHER = "https://cdn.example.com/output/cat-2.png"
REQUEST = GenerationRequest("skills", "a cat")
# The document's body parameters: name -> type, range
BODY: Mapping[str, type | Collection[Option]] = {
    "prompt": str,
    "n": range(1, 5),
    "image_urls": list,
    "negative_prompt": str,
    "image_size": {
        *("square_hd", "square", "portrait_4_3"),
        *("portrait_16_9", "landscape_4_3", "landscape_16_9"),
    },
    "aspect_ratio": {"1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3"},
    "enable_prompt_expansion": bool,
    "seed": range(2147483648),
    "enable_safety_checker": bool,
    "output_format": {"jpeg", "png", "webp"},
}


@pytest.fixture
def skills(session: aiohttp.ClientSession, api_service: Service) -> Skills:
    return skills_at(session, api_service.url)


def image(url: str) -> dict[str, object]:
    return {"url": url, "file_name": "cat.png", "content_type": "image/png", "width": 1024}


def usage(total: object, subscription: object = 0, permanent: object = 0) -> dict[str, object]:
    return {"total": total, "subscription": subscription, "permanent": permanent}


def row(status: str = "IN_QUEUE", **more: object) -> dict[str, object]:
    sent = {"prompt": "a cat", "aspect_ratio": "1:1", "n": 1, "image_urls": [OTHER]}
    return {"id": "gen_123", "status": status, "input": sent, "usage": usage(0), **more}


DONE = row(
    "COMPLETED",
    data={"type": "image", "n": 2, "images": [image(URL), image(OTHER)], "image": image(URL)},
    usage=usage(40, 30, 10),
)
PAID = Cost(40_000, {"total": "40", "subscription": "30", "permanent": "10"})


def test_it_is_a_provider(skills: Skills) -> None:
    provider: Provider = skills

    assert provider.key == "skills"


async def test_only_what_was_given_is_sent(skills: Skills, api_service: Service) -> None:
    api_service.answers({"id": "gen_123", "status": "starting", "usage": usage(0)})

    submitted = (await skills.submit(REQUEST, MEMBER)).generations

    assert submitted == (Submitted("gen_123", Waiting()),)
    (asked,) = api_service.asked
    assert asked.path == "/api/v1/generation/sse/qwen/qwen-image-2-pro"
    assert asked.headers["Accept"] == "text/event-stream"
    assert asked.headers["Content-Type"] == "application/json"
    assert asked.headers["Authorization"] == "Bearer key"
    assert json.loads(asked.body) == {"prompt": "a cat"}


async def test_every_option_is_sent_as_the_document_has_it(
    skills: Skills, api_service: Service
) -> None:
    options: dict[str, Option] = {
        "image_size": "portrait_16_9",
        "count": 3,
        "negative_prompt": "blur",
        "seed": 7,
        "expand_prompt": False,
        "safety_checker": True,
        "output_format": "webp",
    }
    inputs = tuple(f"https://example.com/{number}.png" for number in range(4))
    request = GenerationRequest("skills", "a cat", options, inputs)
    check_request(request, skills_spec(price=20_000))
    api_service.answers(row(), 202)

    await skills.submit(request, MEMBER)

    assert json.loads(api_service.asked[0].body) == {
        "prompt": "a cat",
        "image_size": "portrait_16_9",
        "n": 3,
        "negative_prompt": "blur",
        "seed": 7,
        "enable_prompt_expansion": False,
        "enable_safety_checker": True,
        "output_format": "webp",
        "image_urls": list(inputs),
    }


@pytest.mark.parametrize("name", skills_spec(price=0).options)
async def test_no_option_has_a_name_or_value_that_the_document_has_not(
    skills: Skills, api_service: Service, name: str
) -> None:
    api_service.answers(row())
    option = skills_spec(price=0).options[name]
    values: tuple[Option, ...] = getattr(option, "values", ())
    if not values:
        values = {"Whole": (getattr(option, "maximum", 0),), "Flag": (True,), "Text": ("x",)}[
            type(option).__name__
        ]

    for value in values:
        await skills.submit(GenerationRequest("skills", "a cat", {name: value}), MEMBER)
        sent = json.loads(api_service.asked[-1].body)
        (api_name,) = set(sent) - {"prompt"}
        allowed = BODY[api_name]
        if isinstance(allowed, type):
            assert isinstance(sent[api_name], allowed)
        else:
            assert sent[api_name] in allowed


@pytest.mark.parametrize(
    ("words", "update"),
    [
        ("starting IN_QUEUE queued pending", Waiting()),
        ("processing IN_PROGRESS running", Running()),
        ("succeeded COMPLETED success", Finished((URL, OTHER), PAID)),
        ("failed FAILED error timeout", Failed(Reason.UNKNOWN, "", PAID)),
        ("canceled CANCELED CANCELLED", Canceled()),
        ("DREAMING", Running()),
    ],
)
async def test_both_vocabularies_are_understood(
    skills: Skills, api_service: Service, words: str, update: Update
) -> None:
    for word in words.split():
        api_service.answers({**DONE, "status": word})
        assert await skills.fetch("gen_123") == update, word


@pytest.mark.parametrize("name", ["status", "state", "queue_state", "prediction_status"])
async def test_the_status_may_stand_under_other_names(
    skills: Skills, api_service: Service, name: str
) -> None:
    api_service.answers({"id": "gen_123", "status": None, name: "IN_PROGRESS", "data": None})

    assert await skills.fetch("gen_123") == Running()
    assert api_service.asked[0].path == "/api/v1/generation/gen_123"


@pytest.mark.parametrize("name", ["id", "generation_id", "prediction_id", "task_id"])
@pytest.mark.parametrize("envelope", [None, "data", "generation", "prediction"])
async def test_the_id_may_stand_under_other_names(
    skills: Skills, api_service: Service, name: str, envelope: str | None
) -> None:
    row = {name: "gen_123", "status": "IN_PROGRESS"}
    api_service.answers({envelope: row} if envelope else row)

    assert (await skills.submit(REQUEST, MEMBER)).generations == (Submitted("gen_123", Running()),)
    assert await skills.fetch("gen_123") == Running()
    with pytest.raises(ProviderError, match="requested gen_124, received gen_123"):
        await skills.fetch("gen_124")


async def test_the_documented_id_counts_before_the_others(
    skills: Skills, api_service: Service
) -> None:
    api_service.answers({"task_id": "t", "generation_id": "g", "id": "gen_123", "status": "queued"})

    assert [each.remote_id for each in (await skills.submit(REQUEST, MEMBER)).generations] == [
        "gen_123"
    ]


async def test_an_end_may_come_with_the_first_answer(skills: Skills, api_service: Service) -> None:
    api_service.answers(DONE)

    assert (await skills.submit(REQUEST, MEMBER)).generations == (
        Submitted("gen_123", Finished((URL, OTHER), PAID)),
    )


@pytest.mark.parametrize(
    ("answer", "update"),
    [
        (row("COMPLETED", data=None), Running(ended=True)),  # its pictures are to be asked for
        (
            row("FAILED", code="IMAGE_GENERATION_CONTENT_REJECTED", message="Rejected."),
            Failed(
                Reason.REJECTED,
                "image_generation_content_rejected: Rejected.",
                Cost(0, {"total": "0", "subscription": "0", "permanent": "0"}),
            ),
        ),
        ({"id": "gen_123"}, Waiting()),
        ({"data": {"id": "gen_123", "status": "IN_PROGRESS"}}, Running()),
    ],
)
async def test_an_id_is_kept_whatever_stands_beside_it(
    skills: Skills, api_service: Service, answer: dict[str, object], update: Update
) -> None:
    api_service.answers(answer)

    assert (await skills.submit(REQUEST, MEMBER)).generations == (Submitted("gen_123", update),)


@pytest.mark.parametrize(
    ("answer", "taken"),
    [
        ({"status": "FAILED", "code": "IMAGE_GENERATION_INVALID_INPUT"}, Taken.REFUSED),
        ({"error": {"message": "no"}}, Taken.REFUSED),
        ({"status": "IN_QUEUE"}, Taken.DOUBTFUL),
        ({"id": None}, Taken.DOUBTFUL),
        ([], Taken.DOUBTFUL),
    ],
)
async def test_an_answer_without_an_id_is_sent_once(
    skills: Skills, api_service: Service, answer: dict[str, object], taken: Taken
) -> None:
    api_service.answers(answer)

    with pytest.raises(ProviderError) as caught:
        await skills.submit(REQUEST, MEMBER)

    assert caught.value.taken is taken
    assert len(api_service.asked) == 1


@pytest.mark.parametrize(
    ("code", "status", "reason", "taken"),
    [
        ("RATE_LIMITED", 429, Reason.RATE_LIMITED, Taken.NO),
        ("PROVIDER_UNAVAILABLE", 503, Reason.UNAVAILABLE, Taken.NO),
        ("UNSUPPORTED_MODEL", 400, Reason.NOT_FOUND, Taken.REFUSED),
        ("INVALID_INPUT", 400, Reason.INVALID, Taken.REFUSED),
        ("INVALID_INPUT", 422, Reason.INVALID, Taken.REFUSED),
        ("INSUFFICIENT_CREDITS", 402, Reason.CREDITS, Taken.REFUSED),
        ("CONTENT_REJECTED", 422, Reason.REJECTED, Taken.REFUSED),
        ("FAILED", 502, Reason.UNAVAILABLE, Taken.DOUBTFUL),
        ("TIMEOUT", 504, Reason.TIMEOUT, Taken.DOUBTFUL),
        ("UNAUTHORIZED", 401, Reason.AUTH, Taken.REFUSED),
        ("FORBIDDEN", 403, Reason.AUTH, Taken.REFUSED),
        ("SOMETHING", 500, Reason.UNAVAILABLE, Taken.DOUBTFUL),
    ],
)
@pytest.mark.parametrize("contract", ["old", "new", "differing", "message only"])
async def test_a_refused_create_is_told_by_its_code(
    skills: Skills,
    api_service: Service,
    code: str,
    status: int,
    reason: Reason,
    taken: Taken,
    contract: str,
) -> None:
    full = f"IMAGE_GENERATION_{code}"
    body: Mapping[str, object] = {
        "old": {"error": full, "message": "Words."},
        "new": {"error": full, "code": full, "message": "Words."},
        "differing": {"error": "SOMETHING_ELSE", "code": full, "message": "Words."},
        "message only": {"message": code.replace("_", " ").lower()},
    }[contract]
    if contract == "message only" and code == "INVALID_INPUT":
        body = {"message": "prompt is required"}
    api_service.answers(body, status)

    with pytest.raises(ProviderError) as caught:
        await skills.submit(REQUEST, MEMBER)

    if contract == "message only" and status == 503:
        taken = Taken.DOUBTFUL  # what stands before an API says no more than that
    assert (caught.value.reason, caught.value.taken) == (reason, taken)
    assert len(api_service.asked) == 1


async def test_a_picture_that_the_service_cannot_fetch_is_told_as_that(
    skills: Skills, api_service: Service
) -> None:
    code = "IMAGE_GENERATION_INVALID_INPUT"
    words = "Failed to download image: 403 Client Error: Forbidden for url: https://x.example/a"
    api_service.answers({"error": code, "code": code, "message": words}, 422)

    with pytest.raises(ProviderError) as caught:
        await skills.submit(REQUEST, MEMBER)

    assert (caught.value.reason, caught.value.taken) == (Reason.INPUT, Taken.REFUSED)


@pytest.mark.parametrize(
    ("told", "cost"),
    [
        (usage(20, 20), Cost(20_000, {"total": "20", "subscription": "20", "permanent": "0"})),
        (usage("20", 15, "5"), Cost(20_000, dict(total="20", subscription="15", permanent="5"))),
        ({"total": 7.5}, Cost(7500, {"total": "7.5"})),
        ({"subscription": 3, "permanent": 4}, Cost(7000, {"subscription": "3", "permanent": "4"})),
        (usage(0), Cost(0, {"total": "0", "subscription": "0", "permanent": "0"})),
        (usage(None, None, None), None),
        ({}, None),
        (None, None),
        ("20", None),
        (usage(-1, "x", True), None),
    ],
)  # fmt: skip
async def test_the_terminal_answers_usage_is_the_cost(
    skills: Skills, api_service: Service, told: object, cost: Cost | None
) -> None:
    api_service.answers({**DONE, "usage": told})

    assert await skills.fetch("gen_123") == Finished((URL, OTHER), cost)
    assert await skills.cost("gen_123") == cost


async def test_usage_before_the_end_is_no_cost(skills: Skills, api_service: Service) -> None:
    api_service.answers(row("IN_PROGRESS", usage=usage(20, 20)))

    assert await skills.cost("gen_123") is None


async def test_a_failure_inside_a_200_keeps_its_code_and_what_it_cost(
    skills: Skills, api_service: Service
) -> None:
    code, message = "IMAGE_GENERATION_TIMEOUT", "The provider took too long."
    api_service.answers(row("FAILED", data=None, code=code, message=message, usage=usage(20, 20)))

    assert await skills.fetch("gen_123") == Failed(
        Reason.TIMEOUT,
        f"{code.lower()}: {message}",
        Cost(20_000, {"total": "20", "subscription": "20", "permanent": "0"}),
    )


async def test_an_end_without_a_picture_is_a_failure(skills: Skills, api_service: Service) -> None:
    api_service.answers(row("COMPLETED", data={"images": []}, usage=None))

    assert await skills.fetch("gen_123") == Failed(Reason.NO_PICTURE)


async def test_pictures_may_come_as_data_uris(skills: Skills, api_service: Service) -> None:
    uris = [f"data:image/png;base64,{letter * 4_000_000}" for letter in "AB"]
    api_service.answers(row("COMPLETED", data={"images": [image(uri) for uri in uris]}))

    update = await skills.fetch("gen_123")

    assert isinstance(update, Finished)
    assert update.pictures == tuple(uris)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(404, {"error": "NOT_FOUND", "message": "No such id"}), Reason.NOT_FOUND),
        (Reply(200, {"error": "IMAGE_GENERATION_FAILED", "message": "x"}), Reason.UNKNOWN),
        (Reply(200, row("COMPLETED", id="gen_124")), Reason.MALFORMED),
        (Reply(200, {"id": "gen_123", "status": 5}), Reason.MALFORMED),
        (Reply(200, []), Reason.MALFORMED),
    ],
)
async def test_what_is_no_generation_is_an_error(
    skills: Skills, api_service: Service, reply: Reply, reason: Reason
) -> None:
    api_service.says(reply)

    with pytest.raises(ProviderError) as caught:
        await skills.fetch("gen_123")

    assert caught.value.reason is reason


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (usage(120, 100, 20), {"total": 120, "subscription": 100, "permanent": 20}),
        ({"data": {"balance": "12.5"}}, {"balance": Decimal("12.5")}),
        ({"credits": {"remaining": 5_000_000}}, {"remaining": 5_000_000}),
        ({"credits": 7, "email": "a@example.com", "id": 5}, {"credits": 7}),
        ({"credits": None}, {}),
        ([1], {}),
        (None, {}),
    ],
)
async def test_the_accounts_credits_are_read_in_many_forms(
    skills: Skills, api_service: Service, answer: dict[str, object], found: dict[str, object]
) -> None:
    api_service.answers(answer)

    assert await skills.credits() == found
    assert api_service.asked[0].path == "/api/v1/credits"


@pytest.mark.parametrize(
    ("answer", "left"),
    [
        (usage(120, 100, 20), 120_000),
        ({"data": usage("1e3", 0, 0)}, 1_000_000),
        ({"subscription": 100, "permanent": "0.5"}, 100_500),
        ({"permanent": 7}, 7000),
        ({"data": {"balance": "12.5"}}, 12_500),
        ({"credits": {"remaining": 5_000_000}}, 5_000_000_000),
        ({"credits": {"total": 1000, "used": 990, "remaining": 10}}, 10_000),
        ({"balance": 3, "total": 1000}, 3000),
        ({"available": 0, "total": 1000}, 0),
    ],
)
async def test_the_balance_is_what_is_left_in_both_buckets(
    skills: Skills, api_service: Service, answer: dict[str, object], left: int
) -> None:
    api_service.answers(answer)

    assert await skills.balance() == left
    assert (api_service.asked[0].method, api_service.asked[0].path) == ("GET", "/api/v1/credits")


@pytest.mark.parametrize(
    "answer", [{}, None, [120], "120", {"total": -1}, {"total": True}, {"balance": "NaN"}]
)
async def test_an_answer_without_a_balance_is_malformed(
    skills: Skills, api_service: Service, answer: dict[str, object] | list[object] | str | None
) -> None:
    api_service.answers(answer)

    with pytest.raises(ProviderError, match="no balance in the answer") as caught:
        await skills.balance()
    assert caught.value.reason is Reason.MALFORMED


async def test_there_is_no_cancel_no_list_and_no_stream(
    skills: Skills, api_service: Service
) -> None:
    with pytest.raises(ProviderError) as caught:
        await skills.cancel("gen_123")

    assert caught.value.reason is Reason.INVALID
    assert await skills.find(REQUEST, datetime.now(UTC), datetime.now(UTC)) == ()
    assert [remote_id async for remote_id in skills.events()] == []
    assert await skills.describe() == (skills_spec(price=20_000),)
    assert api_service.asked == []


NAMES = st.sampled_from(
    [
        *("id", "status", "state", "data", "images", "image", "url", "usage", "total", "code"),
        *("error", "message", "subscription", "balance", "credits", "input", "b64_json"),
    ]
)
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["gen_123", "IN_QUEUE", "COMPLETED", "FAILED", "canceled", URL, "20"])
)  # fmt: skip
ANSWERS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=20,
)


@settings(max_examples=150)
@given(ANSWERS)
async def test_any_json_becomes_an_update_or_a_provider_error(answer: object) -> None:
    skills = answering(skills_at(), answer)
    calls = (
        lambda: skills.submit(REQUEST, MEMBER),
        lambda: skills.fetch("gen_123"),
        lambda: skills.cost("gen_123"),
        lambda: skills.credits(),
        lambda: skills.balance(),
    )
    for call in calls:
        try:
            found: object = await call()
        except ProviderError:
            continue
        if isinstance(found, Finished):
            assert found.pictures
