"""The bounds of the search for Oxen's generations, and the requests for it."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from bot.errors import ProviderError, Reason, Taken
from bot.jobs import GenerationRequest, Option
from bot.providers.oxen import provider as provider_module
from bot.providers.oxen.model import oxen_spec
from bot.providers.oxen.provider import Oxen
from bot.providers.oxen.rows import INPUT, InputField, fits, parameters, result_of
from bot.providers.parsing import JsonObject
from tests.providers.clients import MEMBER, oxen_at
from tests.providers.server import Reply, Service, raw

SINCE = datetime(2026, 3, 1, tzinfo=UTC)
UNTIL = SINCE + timedelta(minutes=3)
REQUEST = GenerationRequest("oxen", "a fox")
PICTURE = "https://example.com/1.png"
TEXT = {"type": "string"}
EVENT_STREAM = {"Content-Type": "text/event-stream"}


@pytest.fixture
def oxen(session: aiohttp.ClientSession, api_service: Service) -> Oxen:
    return oxen_at(session, api_service.url)


def row(at: datetime = SINCE, **more: object) -> dict[str, object]:
    base = {"generation_id": "g1", "media_type": "image", "model_name": "qwen-image-2"}
    return {**base, "prompt": "a fox", "enqueued_at": at.timestamp(), **more}


def fit(
    found: JsonObject, request: GenerationRequest = REQUEST, field: InputField | None = INPUT
) -> bool:
    spec = oxen_spec(price=0)
    named = "qwen-image-2"
    return fits(found, request, model=named, spec=spec, since=SINCE, until=UNTIL, field=field)


@pytest.mark.parametrize(
    ("seconds", "fitting"), [(-15.01, False), (-15, True), (195, True), (195.01, False)]
)
def test_the_clocks_may_differ_by_fifteen_seconds(seconds: float, fitting: bool) -> None:
    assert fit(row(SINCE + timedelta(seconds=seconds))) is fitting


@pytest.mark.parametrize(
    ("more", "fitting"),
    [
        ({"model_name": None, "model": "qwen-image-2"}, True),
        ({"model_name": "qwen-image-2", "model": "other"}, True),
        ({"model_name": None}, False),
        ({"media_type": None}, True),
        ({"num_generations": 1}, True),
        ({"num_generations": None}, True),
        ({"input_image": ""}, True),
        ({"input_image": []}, True),
        ({"aspect_ratio": "16:9"}, True),
        ({"aspect_ratio": ""}, False),
        ({"seed": 0}, False),
        ({"negative_prompt": None}, True),
        ({"match_input_image": None}, True),
    ],
    ids=str,
)
def test_only_defaults_may_stand_beside_what_was_sent(
    more: dict[str, object], fitting: bool
) -> None:
    assert fit(row() | more) is fitting


def test_a_row_need_not_repeat_the_number_of_pictures() -> None:
    assert fit(row(), replace(REQUEST, options={"count": 2}))


@pytest.mark.parametrize(
    ("value", "fitting"), [(None, True), ("", True), (False, True), (True, False)]
)
def test_an_option_that_the_model_lacks_has_no_value_in_a_row(value: object, fitting: bool) -> None:
    found = row(match_input_image=value, model_name="x")
    spec = oxen_spec(price=0, model="x")

    assert fits(found, REQUEST, model="x", spec=spec, since=SINCE, until=UNTIL) is fitting


def test_an_input_must_be_that_of_the_request() -> None:
    edit = replace(REQUEST, inputs=(PICTURE,))
    listed = InputField("images", 3, is_list=True)
    assert fit(row(input_image=PICTURE), edit)
    assert not fit(row(), edit)
    assert not fit(row(input_image=[PICTURE]), edit)
    assert fit(row(images=[PICTURE]), edit, listed)
    assert not fit(row(images=[PICTURE]), REQUEST, listed)
    assert not fit(row(input_image=PICTURE), REQUEST, None)
    assert fit(row(), edit, None)  # without a parameter for it, no picture was sent


def test_the_result_of_a_row_comes_before_its_other_pictures() -> None:
    other = "https://example.com/2.png"
    found = {"result_url": PICTURE, "images": [other]}
    for field in (INPUT, InputField("images", is_list=True), None):
        assert result_of(found, field) == (PICTURE,)
        is_input = field is not None and field.name == "images"
        assert result_of({"images": [other]}, field) == (() if is_input else (other,))


def test_of_several_inputs_a_parameter_for_one_takes_the_first() -> None:
    request = replace(REQUEST, inputs=(PICTURE, "https://example.com/2.png"))

    assert parameters(request)["input_image"] == PICTURE
    assert parameters(request, InputField("images", is_list=True))["images"] == [*request.inputs]
    assert set(parameters(request, None)) == {"prompt"}


async def test_the_requests_for_lists_name_the_model_and_the_kind(
    oxen: Oxen, api_service: Service
) -> None:
    api_service.answers({"generations": [row(generation_id="g2"), {}]})
    await oxen.list()
    await oxen.list(status="failed")
    await oxen.history()
    await oxen.history(3, 7)
    assert await oxen.active() == {"g2"}
    await oxen.ping()
    assert await oxen.balance() is None

    own = {"model": "qwen-image-2", "media_type": "image"}
    assert [(each.path, each.query) for each in api_service.asked] == [
        ("/ai/queue", own),
        ("/ai/queue", {**own, "status": "failed"}),
        ("/ai/generations", {**own, "page": "1", "page_size": "100"}),
        ("/ai/generations", {**own, "page": "3", "page_size": "7"}),
        ("/ai/queue", own),
        ("/ai/models/qwen-image-2", {}),
    ]


def pages_of(api_service: Service) -> list[str]:
    return [each.query["page"] for each in api_service.asked if "page" in each.query]


@pytest.mark.parametrize(
    ("times", "read_pages"),
    [
        ([0] * 99, 1),  # the last page
        ([0] * 100, 10),  # never past the time in question
        ([-15] * 100, 10),
        ([0] * 99 + [-15.1], 1),
        ([-15.1] * 100, 1),
        ([-20, *[0] * 98, -16], 10),  # not newest first
        ([-16, *[0] * 98, -17], 1),
    ],
    ids=range(7),
)
async def test_the_history_is_read_until_it_is_older_than_the_request(
    oxen: Oxen, api_service: Service, times: Sequence[float], read_pages: int
) -> None:
    rows = [row(SINCE + timedelta(seconds=each), generation_id="x") for each in times]
    api_service.says(Reply(200, {"generations": []}), Reply(200, {"generations": rows}))
    await oxen.find(REQUEST, SINCE, UNTIL)

    assert pages_of(api_service) == [str(number + 1) for number in range(read_pages)]


async def test_found_generations_are_in_the_order_of_their_requests(
    oxen: Oxen, api_service: Service
) -> None:
    order = [("b", 2), ("c", 1), ("a", 2)]
    rows = [row(SINCE + timedelta(seconds=s), generation_id=i, status="queued") for i, s in order]
    api_service.answers({"generations": rows})

    found = await oxen.find(REQUEST, SINCE, UNTIL)
    assert [each.remote_id for each in found] == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"error": {"message": "rate limit"}}, Reason.RATE_LIMITED),
        ({"status": "error", "status_message": "unauthenticated"}, Reason.AUTH),
        ({"status_message": "resource_not_found", "status": "x"}, Reason.NOT_FOUND),
        ({"status": "failed", "error": "rate limit"}, None),
        ({"generation_id": "g1", "status": "error", "error": "rate limit"}, None),
        ({"generation_id": "G1", "status": "failed"}, None),
        ({"generation_id": "g2", "status": "failed"}, Reason.MALFORMED),
        ({"generation_id": "g1"}, Reason.MALFORMED),
        ([], Reason.MALFORMED),
    ],
    ids=str,
)
async def test_an_error_in_the_place_of_a_row_is_raised(
    oxen: Oxen, api_service: Service, body: dict[str, object], reason: Reason | None
) -> None:
    api_service.answers(body)
    if reason is None:
        await oxen.fetch("g1")
        return
    with pytest.raises(ProviderError) as caught:
        await oxen.fetch("g1")

    assert caught.value.reason is reason


async def test_only_a_cost_that_is_not_found_is_none(oxen: Oxen, api_service: Service) -> None:
    api_service.answers({"error": "x"}, 404)
    assert await oxen.cost("g1") is None
    api_service.answers({"error": "x"}, 401)
    with pytest.raises(ProviderError):
        await oxen.cost("g1")


@pytest.mark.parametrize(
    ("status", "taken"), [(429, Taken.NO), (500, Taken.NO), (401, Taken.REFUSED)]
)
async def test_a_schema_that_cannot_be_read_says_whether_to_try_again(
    session: aiohttp.ClientSession, api_service: Service, status: int, taken: Taken
) -> None:
    other = oxen_at(session, api_service.url, model="other")
    api_service.answers({"error": "no"}, status, **{"Retry-After": "60"})
    with pytest.raises(ProviderError) as caught:
        await other.submit(REQUEST, MEMBER)

    assert (caught.value.taken, caught.value.retry_after) == (taken, 60.0)
    assert {each.method for each in api_service.asked} == {"GET"}


async def test_the_documented_model_is_sent_without_reading_its_schema(
    session: aiohttp.ClientSession, api_service: Service
) -> None:
    api_service.answers({"generations": [row(status="queued")]})
    await oxen_at(session, api_service.url).submit(REQUEST, MEMBER)
    assert [each.method for each in api_service.asked] == ["POST"]

    other, schema = oxen_at(session, api_service.url, model="x"), {"properties": {"prompt": TEXT}}
    again = Reply(200, {"generations": [row(status="queued")]})
    api_service.says(Reply(200, {"request_schema": schema}), again)
    for _ in range(2):
        await other.submit(REQUEST, MEMBER)
    assert [each.method for each in api_service.asked[1:]] == ["GET", "POST", "POST"]


async def test_a_schema_without_a_prompt_refuses_every_request_by_its_problem(
    session: aiohttp.ClientSession, api_service: Service
) -> None:
    other = oxen_at(session, api_service.url, model="x")
    api_service.answers({"request_schema": {"properties": {"image": TEXT}}})
    with pytest.raises(ProviderError, match="of the model x is unusable: it has no text") as caught:
        await other.submit(REQUEST, MEMBER)
    assert (caught.value.reason, caught.value.taken) == (Reason.INVALID, Taken.REFUSED)

    api_service.answers({"request_schema": {"properties": {"prompt": TEXT}}})
    await other.describe()
    options: dict[str, Option] = {"seed": 1}
    with pytest.raises(ProviderError, match="not in the schema: "):
        await other.submit(replace(REQUEST, options=options), MEMBER)


async def test_a_submit_waits_longer_for_its_answer(
    session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_module, "SUBMIT_TIMEOUT", 0.2)
    async with raw(b"", hang=True) as url, asyncio.timeout(20):
        with pytest.raises(ProviderError) as caught:
            await oxen_at(session, url).submit(REQUEST, MEMBER)

    assert (caught.value.reason, caught.value.taken) == (Reason.TIMEOUT, Taken.DOUBTFUL)


async def test_a_keep_alive_is_a_sign_of_life_of_the_stream(
    oxen: Oxen, api_service: Service
) -> None:
    end = b'event: media_generation_completed\ndata: {"id": "g1"}\n\n'
    other = b'event: media_generation_started\ndata: {"id": "g2"}\n\n'
    found: list[str] = []
    api_service.says(Reply(200, b": keep-alive\n\n" + other + end, EVENT_STREAM))
    with pytest.raises(ProviderError):
        async for each in oxen.events():
            found.append(each)

    assert (found[:2], found[-1]) == (["", ""], "g1")
    assert set(found) == {"", "g1"}
