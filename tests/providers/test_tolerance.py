"""The provider of Oxen against every line of apis.md, Tolerance, that concerns Oxen."""

import base64
import logging
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.catalog import Choice, Flag, Text, Whole
from bot.errors import ProviderError, Reason, Taken
from bot.jobs import GenerationRequest, Option
from bot.ledger import Cost
from bot.providers.base import Canceled, Failed, Finished, Running, Submitted, Update, Waiting
from bot.providers.error_mapping import classify, detail_of, one_line
from bot.providers.oxen.model import described, oxen_spec
from bot.providers.oxen.provider import Oxen
from bot.providers.oxen.rows import fits
from bot.providers.parsing import JsonObject, amount, identifier, pictures
from tests.providers.clients import MEMBER, answering, oxen_at
from tests.providers.server import Reply, Service

URL = "https://cdn.example/a.png"
OTHER = "https://cdn.example/b.png"
REQUEST = GenerationRequest("oxen", "a fox")


@pytest.fixture
def oxen(session: aiohttp.ClientSession, api_service: Service) -> Oxen:
    return oxen_at(session, api_service.url)


def row(**more: object) -> dict[str, object]:
    return {"generation_id": "g1", "media_type": "image", "model_name": "qwen-image-2", **more}


async def fetched(oxen: Oxen, service: Service, **more: object) -> Update:
    service.answers(row(**more))
    return await oxen.fetch("g1")


@pytest.mark.parametrize(
    ("words", "update"),
    [
        ("queued in_queue starting created pending", Waiting()),
        ("processing in_progress running started", Running()),
        ("succeeded completed success ok", Finished((URL,))),
        ("failed error aborted timeout expired", Failed(Reason.UNKNOWN, "no")),
        ("canceled cancelled", Canceled()),
        ("warming_up thinking", Running()),
    ],
)
async def test_e1_every_word_for_a_status_is_known(
    oxen: Oxen, api_service: Service, words: str, update: Update
) -> None:
    result = URL if isinstance(update, Finished) else None
    message = "no" if isinstance(update, Failed) else None

    for word in words.split():
        for written in (word, word.upper(), f" {word.title()} "):
            told = await fetched(
                oxen, api_service, status=written, result_url=result, error_message=message
            )
            assert told == update, written


async def test_e1_an_unknown_word_is_logged_once(
    oxen: Oxen, api_service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "bot.providers")

    for _ in range(3):
        assert await fetched(oxen, api_service, status="warming_up") == Running()

    assert [record.getMessage() for record in caplog.records] == [
        "oxen: unknown status 'warming_up', taken as running"
    ]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"data": {"images": [{"url": URL}, {"url": OTHER}], "image": {"url": URL}}}, [URL, OTHER]),
        ({"data": {"images": [URL, URL, OTHER]}}, [URL, OTHER]),
        ({"data": {"image": {"url": URL}}}, [URL]),
        ({"data": {"images": [], "image": URL}}, [URL]),
        ({"data": {"url": URL}}, [URL]),
        ({"data": URL}, [URL]),
        ({"data": [URL, {"url": OTHER}]}, [URL, OTHER]),
        ({"outputs": [URL]}, [URL]),
        ({"output": URL}, [URL]),
        ({"output": [{"image_url": URL}]}, [URL]),
        ({"images": [{"b64_json": "aGk="}]}, ["data:image/png;base64,aGk="]),
        ({"images": [{"url": None, "b64_json": "aGk="}]}, ["data:image/png;base64,aGk="]),
        (
            {"images": [{"b64_json": "data:image/webp;base64,aGk="}]},
            ["data:image/webp;base64,aGk="],
        ),
        ({"images": "data:image/jpeg;base64,aGk="}, ["data:image/jpeg;base64,aGk="]),
        ({"image_urls": [URL]}, [URL]),
        ({"result_url": URL}, [URL]),
        ({"url": URL}, [URL]),
        ({"image_url": URL}, [URL]),
        ({"data": None, "result_url": f" {URL} "}, [URL]),
        ({"result": {"url": URL}}, [URL]),
        ({"result": {"images": [{"url": URL}, OTHER]}}, [URL, OTHER]),
        ({"result": {"image": {"url": URL}}}, [URL]),
        ({"data": {"result": {"url": URL}}}, [URL]),
        ({"output": {"image": {"url": URL}}}, [URL]),
        ({"image": {"url": URL}}, [URL]),
        ({"image": {"url": OTHER}, "result": {"url": URL}}, [URL]),
        ({"image": URL}, []),  # may be a picture of the request
        ({"result": URL, "image": [URL]}, []),
        ({"url": "ftp://x/y"}, []),
        ({"url": "javascript:alert(1)"}, []),
        ({"url": "data:text/html;base64,aGk="}, []),
        ({"url": "https://x/\n"}, ["https://x/"]),
        ({"url": "https://x/\ny"}, []),
        ({"url": "https://x/" + "y" * 9000}, []),
        ({"images": [{"b64_json": ""}, {"url": 5}, 7, None, []]}, []),
        ({}, []),
    ],
)
def test_e2_pictures_are_found_wherever_they_are(body: JsonObject, found: list[str]) -> None:
    assert list(pictures(body)) == found


async def test_e2_an_end_without_a_picture_is_a_failure(oxen: Oxen, api_service: Service) -> None:
    update = await fetched(oxen, api_service, status="succeeded", result_url=None)

    assert update == Failed(Reason.NO_PICTURE)


async def test_e2_the_pictures_of_the_request_are_not_results(
    oxen: Oxen, api_service: Service
) -> None:
    update = await fetched(
        oxen, api_service, status="succeeded", result_url=URL, image_urls=[OTHER], input_image=OTHER
    )

    assert update == Finished((URL,))


@pytest.mark.parametrize(
    ("body", "status", "reason", "detail"),
    [
        # both of Oxen's formats
        (
            {
                "error": {"type": "invalid_params", "title": "T", "detail": "seed is not one"},
                "status": "error",
                "status_message": "invalid_params",
            },
            400,
            Reason.INVALID,
            "invalid_params: seed is not one",
        ),
        (
            {"error": {"message": "Model not found: x"}},
            404,
            Reason.NOT_FOUND,
            "Model not found: x",
        ),
        ({"error": {"message": ":unsupported_media_type"}}, 400, Reason.INVALID, None),
        (
            {"status": "error", "status_message": "unauthenticated"},
            None,
            Reason.AUTH,
            "unauthenticated",
        ),
        ({"error": "text of an error"}, None, Reason.UNKNOWN, "text of an error"),
        ({"error_message": "Insufficient credits"}, None, Reason.CREDITS, "Insufficient credits"),
        (
            {"error": {"type": "invalid_params", "detail": "not enough credits"}},
            400,
            Reason.CREDITS,
            None,
        ),
        ({"error": {"type": "resource_not_found"}}, 200, Reason.NOT_FOUND, "resource_not_found"),
        # a code says more than a status, a status more than the words
        (
            {"code": "IMAGE_GENERATION_CONTENT_REJECTED", "message": "No"},
            422,
            Reason.REJECTED,
            None,
        ),
        (
            {"code": "IMAGE_GENERATION_INVALID_INPUT", "message": "flagged"},
            422,
            Reason.INVALID,
            None,
        ),
        (
            {"error": "INSUFFICIENT_CREDITS", "code": "VIDEO_GENERATION_INSUFFICIENT_CREDITS"},
            402,
            Reason.CREDITS,
            None,
        ),
        ({"message": "rate limit, or flagged"}, 401, Reason.AUTH, None),
        ({"message": "validation error: flagged by moderation"}, 422, Reason.REJECTED, None),
        ({"message": "seed too long"}, 422, Reason.INVALID, "seed too long"),
        (
            {"detail": [{"loc": ["body"], "msg": "field required", "type": "x"}]},
            422,
            Reason.INVALID,
            "field required",
        ),
        # bodies of any kind
        ("<html><h1>502</h1>invalid api key</html>", 502, Reason.UNAVAILABLE, None),
        ("Rate limit exceeded", 400, Reason.RATE_LIMITED, "Rate limit exceeded"),
        ("", 500, Reason.UNAVAILABLE, ""),
        ("", 504, Reason.TIMEOUT, ""),
        ("", 403, Reason.AUTH, ""),
        (None, None, Reason.UNKNOWN, ""),
        ([], 302, Reason.UNKNOWN, ""),
        ({"error": {"message": {"a": 1}}, "code": 5}, 418, Reason.INVALID, ""),
    ],
)
def test_e3_errors_are_classified_in_every_format(
    body: object, status: int | None, reason: Reason, detail: str | None
) -> None:
    assert classify(body, status) is reason
    if detail is not None:
        assert detail_of(body) == detail


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        # one row for each word of the table in bot/providers/error_mapping.py
        ("Insufficient credits", Reason.CREDITS),
        ("Not enough funds", Reason.CREDITS),
        ("You are out of credits", Reason.CREDITS),
        ("out of balance", Reason.CREDITS),
        ("Payment required", Reason.CREDITS),
        ("stopped by moderation", Reason.REJECTED),
        ("the prompt was flagged", Reason.REJECTED),
        ("inappropriate words", Reason.REJECTED),
        ("this is NSFW", Reason.REJECTED),
        ("DataInspectionFailed", Reason.REJECTED),
        ("data_inspection_failed", Reason.REJECTED),
        ("Green net check failed", Reason.REJECTED),
        ("against the content policy", Reason.REJECTED),
        ("against our safety policies", Reason.REJECTED),
        ("by the usage policy", Reason.REJECTED),
        ("stopped by the safety system", Reason.REJECTED),
        ("stopped by a safety filter", Reason.REJECTED),
        ("content rejected", Reason.REJECTED),
        ("sensitive content", Reason.REJECTED),
        ("prohibited content", Reason.REJECTED),
        ("unsafe content", Reason.REJECTED),
        ("Failed to download the picture", Reason.INPUT),
        ("the picture cannot be fetched", Reason.INPUT),
        ("cannot be fetch", Reason.INPUT),
        ("can't load image", Reason.INPUT),
        ("could not identify image file", Reason.INPUT),
        ("unable to fetch the image", Reason.INPUT),
        ("403 Client Error: Forbidden for url: https://a.example", Reason.INPUT),
        ("invalid image format", Reason.INPUT),
        ("Rate limit exceeded", Reason.RATE_LIMITED),
        ("Too many requests", Reason.RATE_LIMITED),
        ("Unsupported model: x", Reason.NOT_FOUND),
        ("Model not found: x", Reason.NOT_FOUND),
        ("You are unauthenticated", Reason.AUTH),
        ("Unauthorized", Reason.AUTH),
        ("a wrong API key", Reason.AUTH),
        ("the request timed out", Reason.TIMEOUT),
        ("a time-out", Reason.TIMEOUT),
        ("Timeout of the model", Reason.TIMEOUT),
        ("temporarily unavailable", Reason.UNAVAILABLE),
        ("the model is overloaded", Reason.UNAVAILABLE),
        ("Please try again later", Reason.UNAVAILABLE),
        ("invalid seed", Reason.INVALID),
        ("seed must be a number", Reason.INVALID),
        ("a validation error", Reason.INVALID),
        ("unsupported ratio", Reason.INVALID),
        ("the ratio is not supported", Reason.INVALID),
        ("the prompt is required", Reason.INVALID),
        ("unknown parameter x", Reason.INVALID),
        ("unknown field x", Reason.INVALID),
        ("400 Client Error", Reason.INVALID),
        ("something else", Reason.UNKNOWN),
    ],
)
def test_e3_a_word_of_an_error_without_a_code_gives_the_reason(words: str, reason: Reason) -> None:
    assert classify({"error": {"message": words}}) is reason


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("rate_limited", Reason.RATE_LIMITED),
        ("timeout", Reason.TIMEOUT),
        ("provider_unavailable", Reason.UNAVAILABLE),
        ("unsupported_model", Reason.NOT_FOUND),
        ("unsupported_media_type", Reason.INVALID),
        ("invalid_input", Reason.INVALID),
        ("insufficient_credits", Reason.CREDITS),
        ("content_rejected", Reason.REJECTED),
        ("content_policy_violation", Reason.REJECTED),
        ("unauthenticated", Reason.AUTH),
        ("resource_not_found", Reason.NOT_FOUND),
        ("invalid_params", Reason.INVALID),
        ("internal", Reason.UNKNOWN),
    ],
)
def test_e3_a_code_gives_the_reason_with_and_without_a_prefix(code: str, reason: Reason) -> None:
    assert classify({"code": code}) is reason
    if code != "invalid_params":  # Oxen's own code, which has no prefix
        assert classify({"code": f"IMAGE_GENERATION_{code.upper()}", "message": "No"}) is reason


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, Reason.INVALID),
        (401, Reason.AUTH),
        (402, Reason.CREDITS),
        (403, Reason.AUTH),
        (404, Reason.NOT_FOUND),
        (408, Reason.TIMEOUT),
        (422, Reason.INVALID),
        (429, Reason.RATE_LIMITED),
        (499, Reason.INVALID),
        (500, Reason.UNAVAILABLE),
        (503, Reason.UNAVAILABLE),
        (504, Reason.TIMEOUT),
        (302, Reason.UNKNOWN),
        (None, Reason.UNKNOWN),
    ],
)
def test_e3_a_status_gives_the_reason_of_an_error_without_words(
    status: int | None, reason: Reason
) -> None:
    assert classify({}, status) is reason


def test_e3_an_errors_words_become_one_short_line() -> None:
    assert one_line("<p>a\r\n\tb</p>\0 \ud800c") == "a b c"
    assert len(one_line("x" * 10_000)) == 300


@pytest.mark.parametrize("status", [200, 404])
async def test_e4_an_unknown_id_is_told_as_such(
    oxen: Oxen, api_service: Service, status: int
) -> None:
    api_service.answers(
        {
            "error": {"type": "resource_not_found", "title": "x", "detail": "y"},
            "status": "error",
            "status_message": "resource_not_found",
        },
        status,
    )

    with pytest.raises(ProviderError) as caught:
        await oxen.fetch("g1")

    assert caught.value.reason is Reason.NOT_FOUND


@pytest.mark.parametrize(
    ("told", "cost"),
    [
        ("0.075", Cost(7500, {"usd": "0.075"})),
        (0.109, Cost(10_900, {"usd": "0.109"})),
        (" 1 ", Cost(100_000, {"usd": "1"})),
        ("7.5e-2", Cost(7500, {"usd": "0.075"})),
        ("0", Cost(0, {"usd": "0"})),
        (None, None),
        ("", None),
        ("free", None),
        ("NaN", None),
        ("-1", None),
        ("1e30", None),
        (True, None),
        ({}, None),
    ],
)
async def test_e5_a_cost_is_a_decimal_in_any_form_or_not_told(
    oxen: Oxen, api_service: Service, told: object, cost: Cost | None
) -> None:
    envelope = {"status": "success", "status_message": "resource_found"}
    api_service.answers({**envelope, "generation": row(status="succeeded", cost=told)})

    assert await oxen.cost("g1") == cost


@pytest.mark.parametrize("body", [{"generations": []}, {}, [], None, "x", {"generations": [{}]}])
async def test_e6_an_answer_without_an_id_is_doubtful_and_not_repeated(
    oxen: Oxen, api_service: Service, body: dict[str, object]
) -> None:
    api_service.answers(body)

    with pytest.raises(ProviderError) as caught:
        await oxen.submit(REQUEST, MEMBER)

    assert caught.value.taken is Taken.DOUBTFUL
    assert len(api_service.asked) == 1


async def test_e6_an_empty_list_beside_an_error_is_a_refusal(
    oxen: Oxen, api_service: Service
) -> None:
    api_service.answers({"generations": [], "error": {"message": "Insufficient credits"}})

    with pytest.raises(ProviderError) as caught:
        await oxen.submit(REQUEST, MEMBER)

    assert (caught.value.taken, caught.value.reason) == (Taken.REFUSED, Reason.CREDITS)


@pytest.mark.parametrize(
    ("body", "submitted"),
    [
        ({"generations": [row(status="processing")]}, [Submitted("g1", Running())]),
        (
            {"generations": [row(status="succeeded", result_url=URL)]},
            [Submitted("g1", Finished((URL,)))],
        ),
        ({"generations": [row()]}, [Submitted("g1", Waiting())]),
        ({"generations": [{"id": 17, "status": "queued"}, 5, None]}, [Submitted("17", Waiting())]),
        (
            {"generations": [row(status="queued"), row(status="queued")]},
            [Submitted("g1", Waiting())],
        ),
        ({"generation_id": "g1", "status": "queued"}, [Submitted("g1", Waiting())]),
        ({"generation": row(status="queued")}, [Submitted("g1", Waiting())]),
    ],
)
async def test_e6_ids_are_kept_from_any_answer_that_has_them(
    oxen: Oxen, api_service: Service, body: dict[str, object], submitted: list[Submitted]
) -> None:
    api_service.answers(body)

    assert list((await oxen.submit(REQUEST, MEMBER)).generations) == submitted


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("a-1", "a-1"),
        (5, "5"),
        ("", None),
        (" ", None),
        ("..", None),
        ("a\nb", None),
        ("\ud800", None),
        ("x" * 201, None),
        pytest.param(10**200 - 1, "9" * 200, id="200 digits"),
        pytest.param(10**200, None, id="201 digits"),
        pytest.param(10**5000, None, id="huge"),
        (True, None),
        (None, None),
        ({}, None),
    ],
)
def test_e6_an_id_is_text_that_can_be_stored(value: object, found: str | None) -> None:
    assert identifier(value) == found


async def test_e6_an_id_cannot_lead_to_another_path(oxen: Oxen, api_service: Service) -> None:
    api_service.answers(row(generation_id="../x?y/z#", status="queued"))

    await oxen.fetch("../x?y/z#")

    assert api_service.asked[0].path == "/ai/queue/..%2Fx%3Fy%2Fz%23"


async def test_another_generations_row_is_not_taken(oxen: Oxen, api_service: Service) -> None:
    api_service.answers(row(generation_id="g2", status="succeeded", result_url=URL))

    with pytest.raises(ProviderError) as caught:
        await oxen.fetch("g1")

    assert caught.value.reason is Reason.MALFORMED


EVENTS = (
    b': keep-alive\n\nevent: repository_updated\ndata: {"generation_id":"g0"}\n\n'
    b"event: media_generation_completed\ndata: not json\n\n"
    b'event: media_generation_completed\ndata: ["g0"]\n\n'
    b'event: media_generation_completed\r\ndata: {"generation_id":"g1","status":"failed"}\r\n\r\n'
)


async def test_e9_of_the_stream_only_the_ids_of_what_ended_count(
    oxen: Oxen, api_service: Service
) -> None:
    api_service.says(Reply(200, EVENTS, {"Content-Type": "text/event-stream; charset=utf-8"}))
    found: list[str] = []

    with pytest.raises(ProviderError):
        async for remote_id in oxen.events():
            found.append(remote_id)

    assert [each for each in found if each] == ["g1"]


OPTIONS_WITHOUT_INPUT = ("aspect_ratio", "count", "negative_prompt", "seed", "expand_prompt")
MODEL = {
    "id": "qwen-image-2",
    "pricing": {"method": "per_image", "cost_per_image": 0.109},
    "json_request_schema": {
        "properties": {
            "prompt": {"type": "string"},
            "input_image": {"type": "string", "format": "uri"},
            "aspect_ratio": {"enum": ["1:1", 5, "21:9", ""], "default": "21:9", "x-order": 1},
            "seed": {"anyOf": [{"type": "null"}, {"type": "integer", "maximum": 99}]},
            "enable_prompt_expansion": {"default": False},
            "negative_prompt": {"maxLength": 500},
            "match_input_image": {"default": "maybe"},
            "num_generations": {"maximum": 12},
        }
    },
}


@pytest.mark.parametrize("body", [MODEL, {"data": MODEL}])
async def test_e11_options_come_from_the_models_schema(
    oxen: Oxen, api_service: Service, body: dict[str, object]
) -> None:
    api_service.answers(body)

    (spec,) = await oxen.describe()

    assert spec.options == {
        "aspect_ratio": Choice(("1:1", "21:9"), default="21:9"),
        "count": Whole(1, 4, default=1),
        "negative_prompt": Text(500),
        "seed": Whole(0, 99),
        "expand_prompt": Flag(default=False),
        "match_input_image": Flag(default=False),
    }
    assert (spec.price, spec.price_known) == (10_900, True)


@pytest.mark.parametrize(
    ("pricing", "price"),
    [
        ({"cost_per_image": "0.05"}, 5000),
        ({"cost_per_image_grid": {"high": {"1k": 0.1, "2k": "0.2"}, "low": {"1k": 0.01}}}, 20_000),
        ({"cost_per_image": None}, None),
        ({"cost_per_image": -1}, None),
        ({"cost_per_image": 0}, None),
        ({"cost_per_image": "much"}, None),
        ({"cost_per_second": 0.1}, None),
        (None, None),
        ([], None),
    ],
)
async def test_e11_a_price_that_cannot_be_read_leaves_the_setting(
    oxen: Oxen, api_service: Service, pricing: object, price: int | None
) -> None:
    api_service.answers({"pricing": pricing})

    (spec,) = await oxen.describe()

    assert (spec.price, spec.price_known) == (price or 7500, price is not None)


async def test_e11_a_schema_that_cannot_be_read_leaves_the_table(
    oxen: Oxen, api_service: Service
) -> None:
    wrong = {"enum": "1:1", "minimum": 9, "maximum": 2, "default": [], "maxLength": -1}
    names = ("aspect_ratio", "seed", "enable_prompt_expansion", "negative_prompt")
    properties = {"prompt": {"type": "string"}, **dict.fromkeys(names, wrong)}
    api_service.answers({"request_schema": {"properties": properties}})

    (spec,) = await oxen.describe()

    table = oxen_spec(price=0).options
    assert spec.options == {name: table[name] for name in OPTIONS_WITHOUT_INPUT}


SINCE = datetime(2026, 3, 1, tzinfo=UTC)
BASE = row(prompt="a fox", enqueued_at=SINCE.timestamp())
SENT: dict[str, Option] = {"seed": 7, "expand_prompt": False, "aspect_ratio": "1:1"}
ECHO = {"seed": 7, "enable_prompt_expansion": False, "aspect_ratio": "1:1"}


@pytest.mark.parametrize(
    ("options", "more", "fit"),
    [
        ({}, {}, True),
        ({}, {"aspect_ratio": "16:9", "seed": None, "negative_prompt": ""}, True),
        ({}, {"enable_prompt_expansion": True, "match_input_image": "false"}, True),
        ({}, {"aspect_ratio": "1:1"}, False),
        ({}, {"enable_prompt_expansion": False}, False),
        ({}, {"match_input_image": True}, False),
        ({}, {"negative_prompt": "blur"}, False),
        ({}, {"seed": 5}, False),
        ({}, {"input_image": URL}, False),
        ({}, {"prompt": "a fox "}, False),
        ({}, {"model_name": "qwen-image-1"}, False),
        ({}, {"media_type": "video"}, False),
        ({}, {"enqueued_at": SINCE.timestamp() - 60}, False),
        ({}, {"enqueued_at": SINCE.timestamp() + 180}, True),
        ({}, {"enqueued_at": SINCE.timestamp() + 240}, False),
        ({}, {"enqueued_at": str(int(SINCE.timestamp()))}, True),
        ({}, {"enqueued_at": SINCE.timestamp() * 1000}, True),
        ({}, {"enqueued_at": SINCE.isoformat()}, True),
        ({}, {"enqueued_at": None}, False),
        ({}, {"enqueued_at": "soon"}, False),
        ({}, {"enqueued_at": True}, False),
        (SENT, ECHO, True),
        (SENT, {**ECHO, "seed": "7", "enable_prompt_expansion": "False"}, True),
        (SENT, {**ECHO, "seed": 7.0}, True),
        (SENT, {**ECHO, "seed": True}, False),
        (SENT, {**ECHO, "seed": None}, False),
        (SENT, {**ECHO, "aspect_ratio": "16:9"}, False),
        (SENT, {}, False),
        ({"count": 2}, {"num_generations": "2"}, True),
        ({"count": 2}, {"num_generations": 1}, False),
        ({}, {"num_generations": 2}, False),
    ],
)
def test_a_row_fits_only_the_request_that_made_it(
    options: dict[str, Option], more: dict[str, object], fit: bool
) -> None:
    request = GenerationRequest("oxen", "a fox", options)
    spec = oxen_spec(price=0)

    until = SINCE + timedelta(minutes=3)
    found = fits(
        {**BASE, **more}, request, model="qwen-image-2", spec=spec, since=SINCE, until=until
    )
    assert found is fit


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = st.sampled_from(
    [
        *("generations", "generation", "generation_id", "id", "status", "status_message"),
        *("error", "error_message", "code", "message", "detail", "data", "images", "image"),
        *("url", "b64_json", "result_url", "cost", "enqueued_at", "prompt", "model_name"),
        *("pricing", "cost_per_image", "request_schema", "properties", "aspect_ratio", "enum"),
        *("default", "seed", "minimum", "anyOf"),
    ]
)
LIKELY = st.recursive(
    JSON | st.sampled_from(["g1", "queued", "succeeded", "failed", URL, "0.1", "qwen-image-2"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=20,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LIKELY)
async def test_any_json_becomes_an_update_or_a_provider_error(answer: object) -> None:
    oxen = answering(oxen_at(), answer)
    for call in (
        lambda: oxen.fetch("g1"),
        lambda: oxen.submit(REQUEST, MEMBER),
        lambda: oxen.describe(),
        lambda: oxen.check(),
        lambda: oxen.cost("g1"),
        lambda: oxen.find(REQUEST, SINCE, SINCE + timedelta(minutes=3)),
        lambda: oxen.cancel("g1"),
    ):
        try:
            found: object = await call()
        except ProviderError:
            continue
        if isinstance(found, Finished):
            assert found.pictures
            assert len(set(found.pictures)) == len(found.pictures)


@given(LIKELY)
def test_any_json_is_a_description_of_the_model(answer: object) -> None:
    spec, _ = described(oxen_spec(price=7500), answer, credits_per_usd=Decimal(100))

    assert spec.price > 0
    for option in spec.options.values():
        if isinstance(option, Choice):
            assert option.values
            assert option.default is None or option.default in option.values
        if isinstance(option, Whole):
            assert option.minimum <= option.maximum


@given(JSON)
def test_any_json_is_an_amount_or_none(value: object) -> None:
    number = amount(value)

    assert number is None or 0 <= number <= 1_000_000


def test_a_data_uri_of_many_megabytes_is_passed_on_as_it_is() -> None:
    uri = "data:image/png;base64," + base64.b64encode(b"x" * 3_000_000).decode()

    assert pictures({"images": [uri]}) == (uri,)
