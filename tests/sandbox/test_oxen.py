"""Oxen's stand-in: queue, history and models, by raw HTTP (docs/internals/apis.md, Oxen.ai)."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from bot.sandbox.http.faults import AnswerAfter, Hold, ResetAfter
from bot.sandbox.oxen.server import FakeOxen
from tests.sandbox.raw import Raw, raw_client

RATIOS = ["1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "2:1", "1:2"]
ASK = {"model": "qwen-image-2", "prompt": "a fox in the snow"}


class Clock:
    def __init__(self) -> None:
        self.now = 1_775_091_431.6

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def clock() -> Clock:
    return Clock()


@pytest.fixture
async def oxen(clock: Clock) -> AsyncIterator[FakeOxen]:
    async with FakeOxen(generation_seconds=0.01, clock=clock, long_side=64) as service:
        yield service


@pytest.fixture
async def raw(oxen: FakeOxen) -> AsyncIterator[Raw]:
    async with raw_client(oxen, oxen.url) as client:
        yield client


async def enqueued(raw: Raw, **options: object) -> str:
    answer = await raw.post("/ai/queue", {**ASK, **options})
    assert answer.status == 200, answer.body
    (generation,) = answer.body["generations"]
    assert generation["status"] == "queued"
    return str(generation["generation_id"])


async def ended(raw: Raw, oxen: FakeOxen, **options: object) -> dict[str, Any]:
    """Return the row of a settled generation."""
    id = await enqueued(raw, **options)
    await oxen.settled(id)
    row = (await raw.get(f"/ai/queue/{id}")).body
    assert isinstance(row, dict)
    return row


async def test_a_generation_goes_from_queued_over_processing_to_succeeded(
    raw: Raw, oxen: FakeOxen
) -> None:
    oxen.manual = True
    id = await enqueued(raw, aspect_ratio="1:1")
    rows = [(await raw.get(f"/ai/queue/{id}")).body]
    oxen.advance(id, "processing")
    rows.append((await raw.get(f"/ai/queue/{id}")).body)
    oxen.advance(id, "succeeded")
    rows.append((await raw.get(f"/ai/queue/{id}")).body)

    assert [row["status"] for row in rows] == ["queued", "processing", "succeeded"]
    now = 1_775_091_431
    times = [(row["enqueued_at"], row["started_at"], row["completed_at"]) for row in rows]
    assert times == [(now, None, None), (now, now, None), (now, now, now)]
    assert [row["result_url"] for row in rows[:2]] == [None, None]
    assert rows[2] == {
        "generation_id": id,
        "model_name": "qwen-image-2",
        "media_type": "image",
        "status": "succeeded",
        "result_url": f"{oxen.url}/repos/sandbox/generations/file/main/images/{id}.png",
        "error_message": None,
        "enqueued_at": now,
        "started_at": now,
        "completed_at": now,
        "target_namespace": None,
        "target_repo": None,
        "target_directory": None,
        "prompt": "a fox in the snow",
        "aspect_ratio": "1:1",
    }
    assert oxen.violations == []


async def test_several_generations_of_a_request_have_an_id_each(raw: Raw, oxen: FakeOxen) -> None:
    answer = await raw.post("/ai/queue", {**ASK, "num_generations": 4})
    ids = [each["generation_id"] for each in answer.body["generations"]]
    for id in ids:
        await oxen.settled(id)

    assert len(set(ids)) == 4
    assert oxen.charges == dict.fromkeys(ids, Decimal("0.075"))


@pytest.mark.parametrize("key", [None, "wrong"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/ai/queue"),
        ("GET", "/ai/queue"),
        ("GET", "/ai/queue/x"),
        ("DELETE", "/ai/queue/x"),
        ("GET", "/ai/generations"),
        ("GET", "/ai/generations/x"),
        ("GET", "/events"),
        ("POST", "/ai/images/edit"),
        ("POST", "/ai/images/generate"),
    ],
)
async def test_without_the_key_nothing_is_answered(
    raw: Raw, oxen: FakeOxen, method: str, path: str, key: str | None
) -> None:
    answer = await raw.ask(method, path, ASK if method == "POST" else None, key=key)

    assert answer.status == 401
    assert answer.body["status_message"] == answer.body["error"]["type"] == "unauthenticated"
    assert oxen.generations == {}
    assert not oxen.requests[-1].authorized


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"model": "qwen-image-9"}, 404, {"message": "Model not found: qwen-image-9"}),
        ({"model": "qwen-3-8b"}, 400, {"message": ":unsupported_media_type"}),
        (
            {"model": "kling-video-o3-pro-reference-to-video"},
            400,
            {"message": ":unsupported_media_type"},
        ),
        *[
            (
                {"num_generations": count},
                400,
                {"message": "num_generations must be an integer between 1 and 4"},
            )
            for count in (0, 5, -1, "2", 1.0, True, None)
        ],
    ],
)
async def test_what_is_wrong_at_enqueue_is_refused_at_once(
    raw: Raw, oxen: FakeOxen, change: dict[str, object], status: int, error: object
) -> None:
    answer = await raw.post("/ai/queue", {**ASK, **change})

    assert (answer.status, answer.body) == (status, {"error": error})
    assert oxen.generations == {}


@pytest.mark.parametrize("body", [None, [], "text", {"prompt": "no model"}, {"model": 3}])
async def test_a_body_without_a_model_is_refused(raw: Raw, body: object) -> None:
    headers = {"Content-Type": "application/json"}

    answer = await raw.post("/ai/queue", body, headers=headers)

    assert answer.status == 400
    assert answer.body["status_message"] == "invalid_params"


async def test_only_json_is_read(raw: Raw) -> None:
    answer = await raw.ask("POST", "/ai/queue", data=ASK)

    assert answer.status == 415


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"prompt": None}, "prompt is required"),
        ({"prompt": "  "}, "prompt is required"),
        ({"prompt": 3}, "prompt must be a string"),
        ({"aspect_ratio": "5:4"}, "aspect_ratio must be one of: 1:1, 16:9"),
        ({"aspect_ratio": None}, "aspect_ratio must be one of"),
        ({"seed": -1}, "seed must be between 0 and 2147483647"),
        ({"seed": 2**31}, "seed must be between 0 and 2147483647"),
        ({"seed": "7"}, "seed must be an integer"),
        ({"seed": 7.0}, "seed must be an integer"),
        ({"seed": True}, "seed must be an integer"),
        ({"match_input_image": "true"}, "match_input_image must be a boolean"),
        ({"enable_prompt_expansion": 1}, "enable_prompt_expansion must be a boolean"),
        ({"negative_prompt": None}, "negative_prompt must be a string"),
        ({"input_image": "fox.png"}, "input_image must be a uri"),
        ({"input_image": ["https://a.example/b.png"]}, "input_image must be a uri"),
        ({"response_format": "png"}, "response_format must be one of"),
        ({"n": 2}, "Unknown parameter: n"),
        ({"image_size": "square"}, "Unknown parameter: image_size"),
        ({"image_urls": []}, "Unknown parameter: image_urls"),
    ],
)
async def test_wrong_parameters_are_taken_and_fail_later(
    raw: Raw, oxen: FakeOxen, change: dict[str, object], words: str
) -> None:
    row = await ended(raw, oxen, **change)

    assert (row["status"], row["result_url"]) == ("failed", None)
    assert words in row["error_message"]
    assert oxen.charges == {}


@pytest.mark.parametrize(
    "options",
    [
        *[{"aspect_ratio": ratio} for ratio in RATIOS],
        {"seed": 0},
        {"seed": 2147483647},
        {"negative_prompt": "", "enable_prompt_expansion": False, "match_input_image": False},
        {"response_format": "b64_json"},
    ],
    ids=str,
)
async def test_what_the_document_names_is_taken_and_comes_back(
    raw: Raw, oxen: FakeOxen, options: dict[str, object]
) -> None:
    row = await ended(raw, oxen, **options)

    assert row["status"] == "succeeded", row
    assert row.items() >= options.items()


async def test_defaults_may_come_back_too(raw: Raw, oxen: FakeOxen) -> None:
    oxen.echo_defaults = True

    row = await ended(raw, oxen, aspect_ratio="1:1")

    assert (row["aspect_ratio"], row["match_input_image"]) == ("1:1", False)


async def test_an_unknown_generation_is_told_in_the_apis_words(raw: Raw) -> None:
    answers = [
        await raw.ask(method, f"/ai/{list_}/nothing")
        for method, list_ in (("GET", "queue"), ("DELETE", "queue"), ("GET", "generations"))
    ]

    for answer in answers:
        assert answer.status == 404
        assert answer.body == {
            "error": {
                "type": "resource_not_found",
                "title": "The requested resource could not be found",
            },
            "status": "error",
            "status_message": "resource_not_found",
        }


async def test_a_new_id_may_be_unknown_at_first(raw: Raw, oxen: FakeOxen) -> None:
    oxen.initial_404s = 2
    id = await enqueued(raw)

    statuses = [(await raw.get(f"/ai/queue/{id}")).status for _ in range(3)]

    assert statuses == [404, 404, 200]


async def test_generations_may_be_at_their_end_at_once(raw: Raw, oxen: FakeOxen) -> None:
    oxen.at_once = True
    good = (await raw.post("/ai/queue", ASK)).body["generations"]
    bad = (await raw.post("/ai/queue", {**ASK, "seed": -1})).body["generations"]

    assert [each["status"] for each in (*good, *bad)] == ["succeeded", "failed"]


async def test_the_queue_shows_what_is_active_unless_asked_otherwise(
    raw: Raw, oxen: FakeOxen
) -> None:
    oxen.manual = True
    ids = [await enqueued(raw, prompt=f"number {n}") for n in range(4)]
    team = await enqueued(raw, target_namespace="team", target_repo="r", target_directory="d")
    oxen.advance(ids[1], "processing")
    for id, end in zip(ids[2:], ("succeeded", "failed"), strict=True):
        oxen.advance(id, end)  # type: ignore[arg-type]  # the words are states

    async def found(query: str) -> list[str]:
        body = (await raw.get(f"/ai/queue{query}")).body
        assert body["count"] == len(body["generations"])
        return [row["generation_id"] for row in body["generations"]]

    assert await found("") == ids[:2]
    assert await found("?status=succeeded") == [ids[2]]
    assert await found("?status=failed&model=qwen-image-2") == [ids[3]]
    assert await found("?model=other") == []
    assert await found("?media_type=video") == []
    assert await found("?namespace=team&repo=r&folder=d") == [team]
    assert await found("?namespace=team&repo=x") == []
    for query in ("?status=done", "?media_type=text"):
        assert (await raw.get(f"/ai/queue{query}")).status == 400
    assert oxen.violations == []


async def test_a_cancelled_generation_stays_as_cancelled_and_costs_nothing(
    raw: Raw, oxen: FakeOxen
) -> None:
    oxen.hold_generations()
    id = await enqueued(raw)
    answer = await raw.ask("DELETE", f"/ai/queue/{id}")
    oxen.release_generations()
    again = await raw.ask("DELETE", f"/ai/queue/{id}")

    assert answer.body == again.body == {"status": "success", "generation_id": id}
    assert (await raw.get(f"/ai/queue/{id}")).body["status"] == "cancelled"
    assert oxen.charges == {}


async def test_a_cancel_has_no_effect_on_an_end(raw: Raw, oxen: FakeOxen) -> None:
    row = await ended(raw, oxen)

    answer = await raw.ask("DELETE", f"/ai/queue/{row['generation_id']}")

    assert answer.status == 200
    assert (await raw.get(f"/ai/queue/{row['generation_id']}")).body["status"] == "succeeded"


async def test_a_cancel_of_what_runs_may_be_charged(raw: Raw, oxen: FakeOxen) -> None:
    oxen.manual = oxen.charge_cancelled = True
    waiting, running = await enqueued(raw), await enqueued(raw)
    oxen.advance(running, "processing")
    for id in (waiting, running):
        await raw.ask("DELETE", f"/ai/queue/{id}")

    assert oxen.charges == {running: Decimal("0.075")}


async def test_the_history_has_pages_costs_and_owners(raw: Raw, oxen: FakeOxen) -> None:
    rows = [await ended(raw, oxen, prompt=f"number {n}") for n in range(3)]
    await ended(raw, oxen, prompt="forbidden")

    pages = [
        (await raw.get(f"/ai/generations?page={page}&page_size=3&status=succeeded")).body
        for page in (1, 2)
    ]
    two = (await raw.get("/ai/generations?page_size=2&page=2")).body

    newest_first = [row["generation_id"] for row in reversed(rows)]
    assert [row["generation_id"] for row in pages[0]["generations"]] == newest_first
    assert pages[1]["generations"] == []
    assert {row["cost"] for row in pages[0]["generations"]} == {"0.075"}
    assert {k: v for k, v in two.items() if k != "generations"} == {
        "count": 2,
        "page_number": 2,
        "page_size": 2,
        "total_pages": 2,
        "total_entries": 4,
        "total_cost": "0.225",
    }
    for query in ("page=0", "page_size=0", "page_size=1001", "page=x", "page=-1"):
        assert (await raw.get(f"/ai/generations?{query}")).status == 400


async def test_a_cost_is_told_when_it_is_known(raw: Raw, oxen: FakeOxen, clock: Clock) -> None:
    async def cost(id: str) -> object:
        answer = await raw.get(f"/ai/generations/{id}")
        assert answer.body["status_message"] == "resource_found"
        return answer.body["generation"]["cost"]

    oxen.cost_delay = 5.0
    id = (await ended(raw, oxen))["generation_id"]
    failed = (await ended(raw, oxen, seed=-1))["generation_id"]
    early = await cost(id)
    clock.now += 5
    late = await cost(id)
    oxen.cost_delay = None

    assert (early, late, await cost(id), await cost(failed)) == (None, "0.075", None, None)
    assert (await raw.get("/ai/generations")).body["total_cost"] is None


async def test_without_credits_an_enqueue_is_refused_and_with_too_few_it_fails_later(
    raw: Raw, oxen: FakeOxen
) -> None:
    oxen.credits = Decimal("0.16")
    answer = await raw.post("/ai/queue", {**ASK, "num_generations": 3})
    for generation in answer.body["generations"]:
        await oxen.settled(generation["generation_id"])
    errors = [each.failure.message for each in oxen.generations.values() if each.failure]
    oxen.credits = Decimal(0)
    refused = await raw.post("/ai/queue", ASK)

    assert errors == ["Insufficient credits"]
    assert sum(oxen.charges.values()) == Decimal("0.150")
    assert (refused.status, refused.body) == (400, {"error": {"message": "Insufficient credits"}})


async def test_moderation_fails_a_generation_uncharged(raw: Raw, oxen: FakeOxen) -> None:
    row = await ended(raw, oxen, prompt="Something FORBIDDEN, please")

    assert row["error_message"] == "Content flagged for: sexual"
    assert oxen.charges == {}


async def test_the_next_ones_can_be_made_to_fail(raw: Raw, oxen: FakeOxen) -> None:
    oxen.fail_next("Prediction interrupted", times=2)

    rows = [await ended(raw, oxen) for _ in range(3)]

    assert [row["error_message"] for row in rows] == ["Prediction interrupted"] * 2 + [None]


async def test_the_next_calls_can_be_limited(raw: Raw, oxen: FakeOxen) -> None:
    oxen.limit_next(retry_after="2")

    limited = await raw.get("/ai/queue")

    assert (limited.status, limited.headers["Retry-After"]) == (429, "2")
    assert limited.body == {"error": {"message": "Rate limit exceeded"}}
    assert (await raw.get("/ai/queue")).status == 200


async def test_what_is_held_ends_when_it_is_let_go(raw: Raw, oxen: FakeOxen) -> None:
    oxen.hold_generations()
    first, second = await enqueued(raw), await enqueued(raw)
    oxen.finish(first)
    await oxen.settled(first)
    with pytest.raises(TimeoutError):
        await oxen.settled(second, timeout=0.05)
    oxen.release_generations()

    assert (await oxen.settled(second)).status == "succeeded"


async def test_an_end_is_never_left_again(raw: Raw, oxen: FakeOxen) -> None:
    id = (await ended(raw, oxen))["generation_id"]

    with pytest.raises(ValueError, match="succeeded already"):
        oxen.advance(id, "failed")


@pytest.mark.parametrize("schema_key", ["json_request_schema", "request_schema"])
async def test_a_model_tells_its_price_and_its_parameters_without_a_key(
    raw: Raw, oxen: FakeOxen, schema_key: str
) -> None:
    oxen.schema_key = schema_key  # type: ignore[assignment]  # one of its two values
    oxen.price = "0.109"

    model = (await raw.get("/ai/models/qwen-image-2", key=None)).body

    assert model["pricing"] == {"method": "per_image", "cost_per_image": 0.109}
    schema = model[schema_key]
    assert schema["required"] == ["prompt"]
    told = {
        name: {k: v for k, v in each.items() if k not in ("title", "description")}
        for name, each in schema["properties"].items()
    }
    assert told == {
        "prompt": {"type": "string", "x-order": 0},
        "input_image": {"type": "string", "format": "uri", "x-order": 1},
        "match_input_image": {"type": "boolean", "default": False, "x-order": 2},
        "aspect_ratio": {"type": "string", "enum": RATIOS, "default": "16:9", "x-order": 3},
        "enable_prompt_expansion": {"type": "boolean", "default": True, "x-order": 4},
        "negative_prompt": {"type": "string", "default": "", "x-order": 5},
        "seed": {"type": "integer", "minimum": 0, "maximum": 2147483647, "x-order": 6},
    }


async def test_models_are_listed_and_searched(raw: Raw, oxen: FakeOxen) -> None:
    listed = (await raw.get("/ai/models")).body
    searched = (await raw.get("/ai/models/search?search=image")).body
    missing = await raw.get("/ai/models/nothing")

    assert (listed["object"], len(listed["data"])) == ("list", 3)
    assert [each["id"] for each in searched["data"]] == ["qwen-image-2"]
    assert (missing.status, missing.body["error"]["message"]) == (404, "Model not found: nothing")
    assert (await raw.get("/ai/models/search")).status == 400
    oxen.models_answer = False
    for path in ("/ai/models", "/ai/models/search?search=x", "/ai/models/qwen-image-2"):
        assert (await raw.get(path)).status == 500


async def test_another_id_of_the_model_can_be_configured() -> None:
    async with FakeOxen(model="qwen-image-3") as oxen, raw_client(oxen, oxen.url) as raw:
        assert (await raw.post("/ai/queue", {**ASK, "model": "qwen-image-3"})).status == 200
        assert (await raw.post("/ai/queue", ASK)).status == 404


async def test_what_no_client_may_do_is_a_violation(raw: Raw, oxen: FakeOxen) -> None:
    await raw.post("/ai/video", ASK)
    await raw.ask("PUT", "/ai/queue/x")
    await raw.get("/ai/queue?model=a&model=b")
    await raw.get("/ai/queue?limit=3")
    double = b'{"model": "qwen-image-2", "prompt": "a", "prompt": "b"}'
    await raw.ask("POST", "/ai/queue", data=double, headers={"Content-Type": "application/json"})

    assert oxen.violations == [
        "POST /api/ai/video: the API has no such call",
        "PUT /api/ai/queue/x: the API has no such call",
        "GET /api/ai/queue: model given 2 times",
        "/api/ai/queue: no query parameter limit there",
        "POST /api/ai/queue: prompt given 2 times",
    ]


async def test_every_request_is_on_the_log_without_its_key(raw: Raw, oxen: FakeOxen) -> None:
    await enqueued(raw, seed=3)
    await raw.get("/ai/queue?status=queued", key="other")

    first, second = oxen.requests
    assert (first.site, first.method, first.path) == ("api", "POST", "/api/ai/queue")
    assert (first.authorized, first.status, first.body) == (True, 200, {**ASK, "seed": 3})
    assert (second.authorized, second.status, second.query) == (False, 401, {"status": "queued"})
    assert oxen.key not in repr([vars(each) for each in oxen.requests])


async def test_faults_leave_the_effect_or_not(raw: Raw, oxen: FakeOxen) -> None:
    oxen.faults.add("POST", "/api/ai/queue", AnswerAfter(500, "<html>"))
    oxen.faults.add("POST", "/api/ai/queue", ResetAfter())
    held = oxen.faults.add("POST", "/api/ai/queue", Hold())

    assert (await raw.post("/ai/queue", ASK)).status == 500
    with pytest.raises(OSError):  # noqa: PT011 - whatever the client makes of a reset
        await raw.post("/ai/queue", ASK)
    asking = asyncio.create_task(raw.post("/ai/queue", ASK))
    await held.reached()
    assert len(await oxen.created(3)) == 3
    held.release()

    assert (await asking).status == 200
    assert oxen.requests[-1].status == 200


async def test_an_end_of_the_stand_in_waits_for_nothing() -> None:
    async with FakeOxen(generation_seconds=60) as oxen, raw_client(oxen, oxen.url) as raw:
        await enqueued(raw)
        sync = asyncio.create_task(raw.post("/ai/images/generate", ASK))
        await oxen.created(2)

    assert (await asyncio.gather(sync, return_exceptions=True))[0] is not None


async def test_the_prompt_that_was_drawn_is_beside_a_picture_at_once(
    raw: Raw, oxen: FakeOxen
) -> None:
    made = await raw.post("/ai/images/generate", ASK)
    plain = await raw.post("/ai/images/generate", {**ASK, "enable_prompt_expansion": False})
    rows = [(await raw.get(f"/ai/queue/{id}")).body for id in oxen.generations]

    (image,) = made.body["images"]
    assert image["revised_prompt"].startswith(f"{ASK['prompt']}. ")
    assert "revised_prompt" not in plain.body["images"][0]
    assert not [row for row in rows if "revised_prompt" in row]
