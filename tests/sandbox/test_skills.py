"""The stand-in for skills.video in both contracts, by raw HTTP (docs/internals/apis.md,
skills.video)."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from bot.sandbox.skills.events import Cut
from bot.sandbox.skills.server import FakeSkills
from tests.sandbox.raw import Answered, Raw, data_uri, picture, raw_client

MODEL = "/generation/qwen/qwen-image-2-pro"
ASK = {"prompt": "a fox in the snow"}
BODIES: tuple[object, ...] = ([], "text", 3)


class Clock:
    def __init__(self) -> None:
        self.now = 1_775_091_431.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def clock() -> Clock:
    return Clock()


@pytest.fixture
async def skills(clock: Clock) -> AsyncIterator[FakeSkills]:
    async with FakeSkills(generation_seconds=0.01, clock=clock, long_side=128) as service:
        yield service


@pytest.fixture
async def raw(skills: FakeSkills) -> AsyncIterator[Raw]:
    async with raw_client(skills, skills.url) as client:
        yield client


async def create(raw: Raw, **options: object) -> Answered:
    return await raw.post(MODEL, {**ASK, **options})


async def ended(raw: Raw, skills: FakeSkills, **options: object) -> dict[str, Any]:
    """Return a settled generation as shown by the API."""
    answer = await create(raw, **options)
    assert answer.status in (200, 202), answer.body
    await skills.settled(answer.body["id"])
    shown = (await raw.get(f"/generation/{answer.body['id']}")).body
    assert isinstance(shown, dict)
    return shown


async def pictures(raw: Raw, shown: dict[str, Any]) -> list[bytes]:
    return [(await raw.get(each["url"], key=None)).raw for each in shown["data"]["images"]]


async def test_the_new_contract_as_its_documents_show_it(raw: Raw, skills: FakeSkills) -> None:
    skills.manual = True
    created = await create(raw)
    id = created.body["id"]
    shown = [(await raw.get(f"/generation/{id}")).body]
    for state in ("processing", "succeeded"):
        skills.advance(id, state)
        shown.append((await raw.get(f"/generation/{id}")).body)

    usage = {"total": 20, "subscription": 20, "permanent": 0}
    wish = {"prompt": "a fox in the snow", "aspect_ratio": "1:1", "n": 1}
    assert created.status == 202
    assert created.body == {"id": id, "status": "IN_QUEUE", "input": wish, "usage": usage}
    assert [each["status"] for each in shown] == ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]
    assert [each["data"] for each in shown[:2]] == [None, None]
    assert shown[2].keys() == {"id", "status", "input", "data", "usage"}
    assert shown[2]["usage"] == usage
    data = shown[2]["data"]
    (image,) = data["images"]
    assert {name: data[name] for name in ("type", "n", "actual_prompt", "image")} == {
        "type": "image",
        "n": 1,
        "actual_prompt": (
            "a fox in the snow, in soft morning light, finely detailed, with a calm background"
        ),
        "image": image,
    }
    assert image.items() >= {"content_type": "image/png", "width": 128, "height": 128}.items()
    assert shown[2]["input"]["resolution"] == "128x128"
    assert skills.violations == []


async def test_the_old_contract_as_the_seed_shows_it(raw: Raw, skills: FakeSkills) -> None:
    skills.contract = "old"
    skills.manual = True
    created = await create(raw)
    id = created.body["id"]
    words = [(await raw.get(f"/generation/{id}")).body["status"]]
    skills.advance(id, "processing")
    running = (await raw.get(f"/generation/{id}")).body
    skills.advance(id, "succeeded")
    done = (await raw.get(f"/generation/{id}")).body

    nothing = {"total": 0, "subscription": 0, "permanent": 0}
    assert created.status == 200
    assert created.body == {"id": id, "status": "starting", "usage": nothing}
    assert [*words, running["status"], done["status"]] == ["starting", "processing", "succeeded"]
    assert running["usage"] == nothing
    assert done["usage"] == {"total": 20, "subscription": 20, "permanent": 0}


@pytest.mark.parametrize("status", [200, 202])
@pytest.mark.parametrize("early", [True, False])
async def test_status_and_early_usage_can_be_set_apart_from_the_contract(
    raw: Raw, skills: FakeSkills, status: int, early: bool
) -> None:
    skills.accepted_status = status  # type: ignore[assignment]  # one of its two values
    skills.early_usage = early

    created = await create(raw)

    assert (created.status, created.body["usage"]["total"]) == (status, 20 if early else 0)


@pytest.mark.parametrize(("contract", "word"), [("old", "canceled"), ("new", "CANCELED")])
async def test_a_cancelled_generation_costs_nothing(
    raw: Raw, skills: FakeSkills, contract: str, word: str
) -> None:
    skills.contract = contract  # type: ignore[assignment]  # one of its two values
    skills.manual = True
    id = (await create(raw)).body["id"]
    skills.advance(id, "cancelled")

    shown = (await raw.get(f"/generation/{id}")).body

    assert (shown["status"], shown["data"], shown["usage"]["total"]) == (word, None, 0)
    assert (skills.charges, skills.subscription) == ({}, 1000)


@pytest.mark.parametrize(
    "wrong",
    [
        {"prompt": None},
        {"prompt": ""},
        {"prompt": 3},
        *({name: value} for name in ("n", "num_images") for value in (0, 5, "2", True, 1.0, None)),
        {"image_urls": "https://a.example/b.png"},
        {"image_urls": ["b.png"]},
        {"image_urls": ["https://a.example/b.png"] * 5},
        {"image_urls": None},
        {"negative_prompt": "x" * 501},
        {"negative_prompt": None},
        {"image_size": "square_hq"},
        {"image_size": {"width": 512, "height": 512}},
        {"aspect_ratio": "2:1"},
        {"aspect_ratio": "1:2"},
        {"enable_prompt_expansion": "true"},
        {"seed": -1},
        {"seed": 2147483648},
        {"seed": "1"},
        {"enable_safety_checker": 0},
        {"sync_mode": None},
        {"output_format": "jpg"},
        {"output_format": "PNG"},
        {"model": "qwen/qwen-image-2-pro"},
        {"input_image": "https://a.example/b.png"},
        {"num_generations": 1},
    ],
    ids=str,
)
async def test_wrong_parameters_are_refused_at_once(
    raw: Raw, skills: FakeSkills, wrong: dict[str, object]
) -> None:
    answer = await create(raw, **wrong)

    assert answer.status == 400
    assert answer.body["error"] == answer.body["code"] == "IMAGE_GENERATION_INVALID_INPUT"
    assert next(iter(wrong)) in answer.body["message"]
    assert skills.generations == {}
    assert skills.subscription == 1000


@pytest.mark.parametrize(
    "options",
    [
        *({"aspect_ratio": ratio} for ratio in ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3")),
        {"seed": None},
        {"seed": 0},
        {"seed": 2147483647},
        {"negative_prompt": "x" * 500, "enable_prompt_expansion": False},
        {"image_urls": [], "sync_mode": False, "enable_safety_checker": True},
        {"num_images": 2},
    ],
    ids=str,
)
async def test_what_the_document_names_is_taken_and_echoed(
    raw: Raw, skills: FakeSkills, options: dict[str, object]
) -> None:
    shown = await ended(raw, skills, **options)

    assert shown["status"] == "COMPLETED", shown
    assert shown["input"].items() >= options.items()
    assert skills.violations == []


async def test_two_parameters_are_gone_from_the_newer_page(raw: Raw, skills: FakeSkills) -> None:
    skills.newer_page = True

    for gone in ("enable_safety_checker", "sync_mode"):
        assert (await create(raw, **{gone: False})).status == 400
    assert (await create(raw, n=1)).status == 202


async def test_n_pictures_come_in_one_generation_and_are_each_paid_for(
    raw: Raw, skills: FakeSkills
) -> None:
    shown = await ended(raw, skills, n=4)

    assert (shown["data"]["n"], shown["usage"]["total"]) == (4, 80)
    assert len(set(await pictures(raw, shown))) == 4
    assert skills.charges == {shown["id"]: 80}


async def test_n_and_num_images_together_multiply_loudly(raw: Raw, skills: FakeSkills) -> None:
    shown = await ended(raw, skills, n=2, num_images=3)

    assert len(shown["data"]["images"]) == 6
    assert skills.violations == [f"/api/v1{MODEL}: n and num_images together multiply"]


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({}, (128, 128)),
        ({"aspect_ratio": "16:9"}, (128, 72)),
        ({"image_size": "square_hd"}, (1024, 1024)),
        ({"image_size": "square"}, (512, 512)),
        ({"image_size": "portrait_4_3"}, (768, 1024)),
        ({"image_size": "portrait_16_9"}, (576, 1024)),
        ({"image_size": "landscape_4_3"}, (1024, 768)),
        ({"image_size": "landscape_16_9"}, (1024, 576)),
        ({"image_urls": [data_uri(size=(70, 50)), data_uri(size=(60, 44))]}, (60, 44)),
        ({"image_urls": [data_uri(size=(70, 50))], "aspect_ratio": "1:1"}, (128, 128)),
        ({"image_urls": [data_uri(size=(70, 50))], "image_size": "square"}, (512, 512)),
    ],
)
async def test_sizes_are_those_of_the_document(
    raw: Raw, skills: FakeSkills, options: dict[str, object], size: tuple[int, int]
) -> None:
    shown = await ended(raw, skills, **options)

    (data,) = await pictures(raw, shown)
    assert picture(data).size == size
    assert (shown["data"]["image"]["width"], shown["data"]["image"]["height"]) == size


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
async def test_the_output_format_is_respected(raw: Raw, skills: FakeSkills, format: str) -> None:
    shown = await ended(raw, skills, output_format=format)

    image = shown["data"]["image"]
    got = await raw.get(image["url"], key=None)
    assert image["content_type"] == got.headers["Content-Type"] == f"image/{format}"
    assert image["file_name"].endswith(f".{format}")
    assert picture(got.raw).format == format.upper()


async def test_sync_mode_answers_with_data_uris(raw: Raw, skills: FakeSkills) -> None:
    shown = await ended(raw, skills, sync_mode=True, output_format="jpeg")

    assert shown["data"]["image"]["url"].startswith("data:image/jpeg;base64,/9j/")


async def test_the_same_seed_and_options_make_the_same_bytes(raw: Raw, skills: FakeSkills) -> None:
    wishes: list[dict[str, object]] = [{"seed": 5}, {"seed": 5}, {"seed": 6}, {}, {"seed": None}]
    made = [(await pictures(raw, await ended(raw, skills, **wish)))[0] for wish in wishes]

    assert made[0] == made[1]
    assert len(set(made)) == 4


async def test_every_input_shows_in_the_edit(raw: Raw, skills: FakeSkills) -> None:
    size = (140, 90)
    inputs = [data_uri(name, size) for name in ("a cat", "a city", "a whale", "an owl")]
    made = [
        (await pictures(raw, await ended(raw, skills, seed=1, image_urls=inputs[:count])))[0]
        for count in (1, 2, 3, 4)
    ]

    assert len(set(made)) == 4


async def test_an_input_that_cannot_be_had_fails_the_generation_inside_a_200(
    raw: Raw, skills: FakeSkills
) -> None:
    shown = await ended(raw, skills, image_urls=[data_uri(), "data:image/png;base64,AAAA"])

    assert (shown["status"], shown["data"]) == ("FAILED", None)
    assert shown["code"] == "IMAGE_GENERATION_INVALID_INPUT"
    assert shown["message"] == "Invalid image format ''"
    assert (shown["usage"]["total"], skills.charges) == (0, {})


async def test_pictures_are_on_a_cdn_that_wants_no_key_and_expire(
    raw: Raw, skills: FakeSkills, clock: Clock
) -> None:
    url = (await ended(raw, skills))["data"]["image"]["url"]
    good = await raw.get(url, key=None)
    carried = await raw.get(url)
    clock.now += skills.url_seconds
    late = await raw.get(url, key=None)

    assert url.startswith(skills.cdn_origin)
    assert (good.status, carried.status, late.status) == (200, 400, 403)
    assert len(skills.violations) == 1
    assert "key was sent to the CDN" in skills.violations[0]


@pytest.mark.parametrize("contract", ["old", "new"])
@pytest.mark.parametrize(
    ("path", "change", "status", "code"),
    [
        ("/generation/qwen/other", {}, 400, "IMAGE_GENERATION_UNSUPPORTED_MODEL"),
        (MODEL, {"seed": -1}, 400, "IMAGE_GENERATION_INVALID_INPUT"),
        (MODEL, {"n": 4}, 402, "IMAGE_GENERATION_INSUFFICIENT_CREDITS"),
        (MODEL, {"prompt": "forbidden"}, 422, "IMAGE_GENERATION_CONTENT_REJECTED"),
    ],
)
async def test_an_error_has_the_form_of_its_contract(
    raw: Raw,
    skills: FakeSkills,
    contract: str,
    path: str,
    change: dict[str, object],
    status: int,
    code: str,
) -> None:
    skills.contract = contract  # type: ignore[assignment]  # one of its two values
    skills.subscription, skills.permanent = 30, 40

    for call in (path, path.replace("/generation/", "/generation/sse/")):
        answer = await raw.post(call, {**ASK, **change})

        assert answer.status == status
        message = answer.body.pop("message")
        assert message
        legacy = code.removeprefix("IMAGE_GENERATION_") if status == 402 else code
        expected = {"error": code} if contract == "old" else {"error": legacy, "code": code}
        assert answer.body == expected
    assert skills.generations == {}


@pytest.mark.parametrize("key", [None, "wrong"])
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", MODEL), ("GET", "/generation/x"), ("GET", "/credits")],
)
async def test_without_the_key_nothing_is_answered(
    raw: Raw, skills: FakeSkills, method: str, path: str, key: str | None
) -> None:
    answer = await raw.ask(method, path, ASK if method == "POST" else None, key=key)

    assert (answer.status, answer.body["code"]) == (401, "UNAUTHORIZED")
    assert skills.generations == {}


async def test_the_body_must_be_a_json_object(raw: Raw) -> None:
    form = await raw.ask("POST", MODEL, data={"prompt": "a fox"})
    bodies = [await raw.post(MODEL, body) for body in BODIES]
    broken = await raw.ask("POST", MODEL, data=b"{", headers={"Content-Type": "application/json"})

    assert form.status == 415
    assert [each.status for each in (*bodies, broken)] == [400] * 4


async def test_moderation_can_show_later_and_be_switched_off(raw: Raw, skills: FakeSkills) -> None:
    skills.rejects = "later"
    later = await ended(raw, skills, prompt="Forbidden things")
    skills.rejects = "at once"
    unsafe = await ended(raw, skills, prompt="forbidden", enable_safety_checker=False)

    assert (later["status"], later["code"]) == ("FAILED", "IMAGE_GENERATION_CONTENT_REJECTED")
    assert unsafe["status"] == "COMPLETED"


async def test_the_old_contract_tells_a_failure_in_its_own_words(
    raw: Raw, skills: FakeSkills
) -> None:
    skills.contract = "old"
    skills.fail_next("Generation timed out.", "TIMEOUT")

    shown = await ended(raw, skills)

    assert shown["status"] == "failed"
    assert (shown["error"], shown["message"]) == (
        "IMAGE_GENERATION_TIMEOUT",
        "Generation timed out.",
    )


@pytest.mark.parametrize(("keeps", "total"), [(False, 0), (True, 40)])
async def test_a_failure_costs_nothing_unless_set(
    raw: Raw, skills: FakeSkills, keeps: bool, total: int
) -> None:
    skills.charge_failed = keeps
    skills.fail_next()

    shown = await ended(raw, skills, n=2)

    assert (shown["status"], shown["usage"]["total"]) == ("FAILED", total)
    assert skills.subscription == 1000 - total


async def test_the_subscription_is_used_up_first(raw: Raw, skills: FakeSkills) -> None:
    skills.subscription, skills.permanent = 30, 35

    usages = [(await ended(raw, skills, n=2))["usage"], (await ended(raw, skills))["usage"]]

    assert usages == [
        {"total": 40, "subscription": 30, "permanent": 10},
        {"total": 20, "subscription": 0, "permanent": 20},
    ]
    assert (skills.subscription, skills.permanent) == (0, 5)
    assert (await create(raw)).status == 402


@pytest.mark.parametrize(
    ("shape", "body"),
    [
        ("flat", {"total": 1500, "subscription": 1000, "permanent": 500}),
        ("data", {"data": {"total": 1500, "subscription": 1000, "permanent": 500}}),
        ("balance", {"balance": 1500}),
        ("credits", {"credits": 1500}),
        ("remaining", {"remaining": 1500}),
        ("text", "plenty"),
    ],
)
async def test_credits_have_one_of_the_likely_shapes(
    raw: Raw, skills: FakeSkills, shape: str, body: object
) -> None:
    skills.credits_shape = shape  # type: ignore[assignment]  # one of its values

    assert (await raw.get("/credits")).body == body


async def test_there_is_no_call_that_cancels_or_lists(raw: Raw, skills: FakeSkills) -> None:
    id = (await create(raw)).body["id"]

    answers = [
        await raw.ask("DELETE", f"/generation/{id}"),
        await raw.post(f"/generation/{id}/cancel", {}),
        await raw.get("/generation"),
        await raw.get("/models"),
        await raw.get("/generation/unknown"),
    ]

    assert [each.status for each in answers] == [405, 400, 404, 404, 404]
    assert len(skills.violations) == 3


async def test_a_new_id_may_be_unknown_and_an_end_may_come_at_once(
    raw: Raw, skills: FakeSkills
) -> None:
    skills.initial_404s = 1
    skills.at_once = True
    created = (await create(raw)).body

    statuses = [(await raw.get(f"/generation/{created['id']}")).status for _ in range(2)]

    assert created["status"] == "COMPLETED"
    assert statuses == [404, 200]


async def test_the_next_calls_can_be_limited(raw: Raw, skills: FakeSkills) -> None:
    skills.limit_next(retry_after="3")

    limited = await create(raw)

    assert (limited.status, limited.headers["Retry-After"]) == (429, "3")
    assert limited.body["code"] == "IMAGE_GENERATION_RATE_LIMITED"
    assert (await create(raw)).status == 202


def lines(answer: Answered) -> list[dict[str, Any]]:
    blocks = answer.raw.decode().removesuffix("\n\n").split("\n\n")
    assert all(block.startswith("data: ") for block in blocks)
    return [json.loads(block.removeprefix("data: ")) for block in blocks]


async def test_the_streaming_call_tells_each_state_to_the_end(raw: Raw, skills: FakeSkills) -> None:
    answer = await raw.post("/generation/sse/qwen/qwen-image-2-pro", ASK)

    assert answer.headers["Content-Type"] == "text/event-stream"
    told = lines(answer)
    assert [each["status"] for each in told] == ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]
    assert len({each["id"] for each in told}) == 1
    assert told[0].keys() == {"id", "status", "data", "usage"}
    assert [bool(each["data"]) for each in told] == [False, False, True]


async def test_the_streaming_call_tells_a_failure(raw: Raw, skills: FakeSkills) -> None:
    skills.fail_next(code="PROVIDER_UNAVAILABLE", message="Down.")

    told = lines(await raw.post("/generation/sse/qwen/qwen-image-2-pro", ASK))

    assert told[-1].items() >= {"status": "FAILED", "message": "Down."}.items()
    assert told[-1]["code"] == "IMAGE_GENERATION_PROVIDER_UNAVAILABLE"


@pytest.mark.parametrize("silent", [True, False])
async def test_a_stream_can_be_cut(raw: Raw, skills: FakeSkills, silent: bool) -> None:
    skills.hold_generations()
    skills.stream_cut = Cut(1, silent=silent, extra=b": cut\n\n")
    asking = asyncio.create_task(raw.post("/generation/sse/qwen/qwen-image-2-pro", ASK))
    if silent:
        async with asyncio.timeout(20):
            while not skills.open_streams:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        assert not asking.done()
        assert skills.open_streams == 1
        asking.cancel()
    await asyncio.wait({asking}, timeout=5)
    with pytest.raises(asyncio.CancelledError if silent else aiohttp.ClientError):
        await asking
    async with asyncio.timeout(20):
        while skills.open_streams:
            await asyncio.sleep(0.01)


async def test_a_generation_goes_on_when_its_stream_is_dropped(
    raw: Raw, skills: FakeSkills
) -> None:
    skills.hold_generations()
    asking = asyncio.create_task(raw.post("/generation/sse/qwen/qwen-image-2-pro", ASK))
    (generation,) = await skills.created()
    asking.cancel()
    skills.release_generations()

    assert (await skills.settled(generation.id)).status == "succeeded"


async def test_an_end_of_the_stand_in_waits_for_no_stream() -> None:
    async with FakeSkills() as skills, raw_client(skills, skills.url) as raw:
        skills.hold_generations()
        asking = asyncio.create_task(raw.post("/generation/sse/qwen/qwen-image-2-pro", ASK))
        await skills.created()

    (told,) = await asyncio.gather(asking, return_exceptions=True)
    assert told is not None
