"""The provider against the strict stand-in, which knows the API's own documents only."""

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import aiohttp
import pytest

from bot.catalog import Choice, Flag, Text, Whole
from bot.errors import ProviderError, Reason, Taken
from bot.jobs import GenerationRequest, Option
from bot.ledger import Cost
from bot.providers.base import Canceled, Failed, Finished, Provider, Running, Update, Waiting
from bot.providers.oxen.model import oxen_spec
from bot.providers.oxen.provider import Oxen
from bot.sandbox.drawing.draw import draw
from bot.sandbox.http.faults import Answer, AnswerAfter, Reset, ResetAfter, Truncate
from bot.sandbox.oxen.server import FakeOxen
from tests.providers.clients import MEMBER, oxen_at

KEY = "oxen-key"
EVERYTHING: dict[str, Option] = {
    "aspect_ratio": "4:3",
    "count": 1,
    "negative_prompt": "blur",
    "seed": 7,
    "expand_prompt": False,
    "match_input_image": False,
}


@pytest.fixture
async def service() -> AsyncIterator[FakeOxen]:
    async with FakeOxen(key=KEY, generation_seconds=0.01) as opened:
        yield opened
        assert opened.violations == []


@pytest.fixture
def oxen(session: aiohttp.ClientSession, service: FakeOxen) -> Oxen:
    return oxen_at(session, service.url, key=KEY)


def asking(prompt: str = "a fox", *inputs: str, **options: Option) -> GenerationRequest:
    return GenerationRequest("oxen", prompt, options, inputs)


def picture_uri() -> str:
    data = draw("input", 1, 64, 64)
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


async def ended(oxen: Oxen, remote_id: str) -> Update:
    for _ in range(500):
        update = await oxen.fetch(remote_id)
        if not isinstance(update, Waiting | Running):
            return update
        await asyncio.sleep(0.005)
    raise TimeoutError(remote_id)


async def made(oxen: Oxen, request: GenerationRequest) -> Update:
    (submitted,) = (await oxen.submit(request, MEMBER)).generations
    return await ended(oxen, submitted.remote_id)


def test_it_is_a_provider(oxen: Oxen) -> None:
    provider: Provider = oxen

    assert provider.key == "oxen"


async def test_a_prompt_becomes_a_picture_that_can_be_downloaded(
    oxen: Oxen, service: FakeOxen, session: aiohttp.ClientSession
) -> None:
    update = await made(oxen, asking())

    assert isinstance(update, Finished)
    (url,) = update.pictures
    headers = oxen.headers_for(url)
    async with session.get(url, headers=headers, allow_redirects=False) as response:
        assert response.status == 302
        assert oxen.headers_for(response.headers["Location"]) == {}  # another origin


async def test_only_what_was_given_is_sent(oxen: Oxen, service: FakeOxen) -> None:
    await oxen.submit(asking(), MEMBER)

    assert service.requests[-1].body == {"model": "qwen-image-2", "prompt": "a fox"}


async def test_every_option_is_sent_by_the_apis_own_name(oxen: Oxen, service: FakeOxen) -> None:
    uri = picture_uri()

    update = await made(oxen, asking("a fox", uri, **EVERYTHING))

    assert isinstance(update, Finished)
    assert service.requests[0].body == {
        "model": "qwen-image-2",
        "prompt": "a fox",
        "input_image": uri,
        "aspect_ratio": "4:3",
        "num_generations": 1,
        "negative_prompt": "blur",
        "seed": 7,
        "enable_prompt_expansion": False,
        "match_input_image": False,
    }


async def test_several_pictures_have_an_id_each(oxen: Oxen) -> None:
    submitted = (await oxen.submit(asking(count=4), MEMBER)).generations

    assert len({each.remote_id for each in submitted}) == 4
    assert {type(each.update) for each in submitted} == {Waiting}
    for each in submitted:
        assert isinstance(await ended(oxen, each.remote_id), Finished)


async def test_an_end_may_come_with_the_first_answer(oxen: Oxen, service: FakeOxen) -> None:
    service.at_once = True

    (submitted,) = (await oxen.submit(asking(), MEMBER)).generations

    # it tells the status only, so the pictures are still to be asked for
    assert isinstance(submitted.update, Running)
    assert isinstance(await oxen.fetch(submitted.remote_id), Finished)


async def test_the_states_are_told_apart(oxen: Oxen, service: FakeOxen) -> None:
    service.manual = True
    (submitted,) = (await oxen.submit(asking(), MEMBER)).generations
    remote_id = submitted.remote_id

    assert await oxen.fetch(remote_id) == Waiting()
    service.advance(remote_id, "processing")
    assert await oxen.fetch(remote_id) == Running()
    await oxen.cancel(remote_id)
    assert await oxen.fetch(remote_id) == Canceled()


async def test_a_cancel_after_the_end_changes_nothing(oxen: Oxen, service: FakeOxen) -> None:
    (submitted,) = (await oxen.submit(asking(), MEMBER)).generations
    service.finish(submitted.remote_id)
    await service.settled(submitted.remote_id)

    await oxen.cancel(submitted.remote_id)

    assert isinstance(await oxen.fetch(submitted.remote_id), Finished)


async def test_a_cancel_of_what_is_unknown_is_told(oxen: Oxen) -> None:
    with pytest.raises(ProviderError) as caught:
        await oxen.cancel("nothing/../here?")

    assert caught.value.reason is Reason.NOT_FOUND


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Insufficient credits", Reason.CREDITS),
        ("Content flagged for: sexual", Reason.REJECTED),
        ("ContentModerationError: no", Reason.REJECTED),
        ("DataInspectionFailed", Reason.REJECTED),
        ("Output data may contain inappropriate content.", Reason.REJECTED),
        ("Green net check failed for image", Reason.REJECTED),
        ("Invalid image format ''", Reason.INPUT),
        ("403 Client Error: Forbidden for url: https://x.example/a.png", Reason.INPUT),
        ("Failed to download image from https://x.example/a.png", Reason.INPUT),
        ("cannot identify image file", Reason.INPUT),
        ("seed must be an integer", Reason.INVALID),
        ("The prediction timed out", Reason.TIMEOUT),
        ("Rate limit exceeded", Reason.RATE_LIMITED),
        ("Model is overloaded", Reason.UNAVAILABLE),
        ("Something went wrong", Reason.UNKNOWN),
    ],
)
async def test_a_failure_is_classified_by_its_words(
    oxen: Oxen, service: FakeOxen, message: str, reason: Reason
) -> None:
    service.fail_next(message)

    assert await made(oxen, asking()) == Failed(reason, message)


async def test_a_forbidden_prompt_is_rejected_and_costs_nothing(
    oxen: Oxen, service: FakeOxen
) -> None:
    update = await made(oxen, asking("something forbidden"))

    assert isinstance(update, Failed)
    assert update.reason is Reason.REJECTED
    assert service.charges == {}


async def test_too_little_credit_is_told_at_the_end(oxen: Oxen, service: FakeOxen) -> None:
    service.credits = Decimal("0.01")

    update = await made(oxen, asking())

    assert isinstance(update, Failed)
    assert update.reason is Reason.CREDITS


async def test_an_empty_account_is_told_at_once(oxen: Oxen, service: FakeOxen) -> None:
    service.credits = Decimal(0)

    with pytest.raises(ProviderError) as caught:
        await oxen.submit(asking(), MEMBER)

    assert (caught.value.reason, caught.value.taken) == (Reason.CREDITS, Taken.REFUSED)


async def test_a_wrong_key_is_refused(session: aiohttp.ClientSession, service: FakeOxen) -> None:
    wrong = oxen_at(session, service.url, key="no")

    with pytest.raises(ProviderError) as caught:
        await wrong.submit(asking(), MEMBER)

    assert (caught.value.reason, caught.value.taken) == (Reason.AUTH, Taken.REFUSED)


@pytest.mark.parametrize("model", ["nothing", "../models", "qwen-3-8b"])
async def test_a_model_that_cannot_be_had_is_refused(
    session: aiohttp.ClientSession, service: FakeOxen, model: str
) -> None:
    with pytest.raises(ProviderError) as caught:
        await oxen_at(session, service.url, key=KEY, model=model).submit(asking(), MEMBER)

    assert caught.value.reason in {Reason.NOT_FOUND, Reason.INVALID}
    assert caught.value.taken is Taken.REFUSED
    assert service.generations == {}


@pytest.mark.parametrize(
    ("fault", "taken", "created"),
    [
        (Answer(429, {"error": {"message": "Rate limit exceeded"}}), Taken.NO, 0),
        (Answer(503, {"error": {"message": "Try again"}}), Taken.NO, 0),
        (Answer(503, "<html>"), Taken.DOUBTFUL, 0),
        (AnswerAfter(500, {"error": {"message": "Oops"}}), Taken.DOUBTFUL, 1),
        (AnswerAfter(200, "<html>"), Taken.DOUBTFUL, 1),
        (Reset(), Taken.DOUBTFUL, 0),
        (ResetAfter(), Taken.DOUBTFUL, 1),
        (Truncate(20), Taken.DOUBTFUL, 1),
    ],
    ids=str,
)
async def test_a_submit_that_goes_wrong_is_sent_once(
    oxen: Oxen, service: FakeOxen, fault: Answer, taken: Taken, created: int
) -> None:
    rule = service.faults.add("POST", "/api/ai/queue", fault)

    with pytest.raises(ProviderError) as caught:
        await oxen.submit(asking(), MEMBER)

    assert caught.value.taken is taken
    assert rule.hits == 1
    assert len(service.generations) == created


async def test_a_fetch_survives_what_passes(oxen: Oxen, service: FakeOxen) -> None:
    (submitted,) = (await oxen.submit(asking(), MEMBER)).generations
    service.faults.add("GET", "/api/ai/queue/.*", ResetAfter())
    service.faults.add("GET", "/api/ai/queue/.*", Truncate(10))

    assert isinstance(await ended(oxen, submitted.remote_id), Finished)


async def test_a_price_and_the_options_come_from_the_models_endpoint(
    session: aiohttp.ClientSession,
) -> None:
    for key in ("json_request_schema", "request_schema"):
        async with FakeOxen(key=KEY, price="0.109", schema_key=key) as service:
            oxen = oxen_at(session, service.url, key=KEY)

            (spec,) = await oxen.describe()

        assert (spec.price, spec.price_known) == (10_900, True)
        assert spec.options == oxen_spec(price=0).options


async def test_without_a_models_endpoint_there_is_an_error_and_the_table(
    session: aiohttp.ClientSession,
) -> None:
    async with FakeOxen(key=KEY, models_answer=False) as service:
        with pytest.raises(ProviderError):
            await oxen_at(session, service.url, key=KEY).describe()


async def test_the_cost_is_what_was_charged(oxen: Oxen, service: FakeOxen) -> None:
    (submitted,) = (await oxen.submit(asking(), MEMBER)).generations
    service.finish(submitted.remote_id)
    await service.settled(submitted.remote_id)

    cost = await oxen.cost(submitted.remote_id)

    assert cost == Cost(7500, {"usd": "0.075"})
    assert service.charges[submitted.remote_id] == Decimal("0.075")


async def test_a_cost_that_is_not_told_yet_is_none(
    session: aiohttp.ClientSession, service: FakeOxen
) -> None:
    async with FakeOxen(key=KEY, cost_delay=None) as slow:
        oxen = oxen_at(session, slow.url, key=KEY)
        (submitted,) = (await oxen.submit(asking(), MEMBER)).generations
        slow.finish(submitted.remote_id)
        await slow.settled(submitted.remote_id)

        assert await oxen.cost(submitted.remote_id) is None
        assert await oxen.cost("unknown") is None


async def test_the_stream_tells_whose_news_there_are(oxen: Oxen, service: FakeOxen) -> None:
    service.manual = True
    stream = oxen.events()
    assert await anext(stream) == ""  # the stream is open
    await service.listening()
    (submitted,) = (await oxen.submit(asking(), MEMBER)).generations
    service.finish(submitted.remote_id)
    await service.settled(submitted.remote_id)

    assert await anext(stream) == ""
    assert await anext(stream) == submitted.remote_id

    service.drop_streams()
    with pytest.raises(ProviderError):
        await anext(stream)


ALONE: dict[str, Option] = {}
OTHERS: list[GenerationRequest] = [
    asking("a cat"),
    asking(seed=8),
    asking(aspect_ratio="1:1"),
    asking(negative_prompt="blur"),
    asking(expand_prompt=False),
    asking("a fox", picture_uri()),
]


def around_now() -> tuple[datetime, datetime]:
    now = datetime.now(UTC)
    return now, now + timedelta(minutes=3)


@pytest.mark.parametrize("options", [ALONE, EVERYTHING, {"count": 3}], ids=str)
@pytest.mark.parametrize("over", [False, True])
async def test_what_a_lost_request_made_is_found_among_others(
    oxen: Oxen, service: FakeOxen, options: dict[str, Option], over: bool
) -> None:
    service.manual = True
    for other in OTHERS:
        await oxen.submit(other, MEMBER)
    request = GenerationRequest("oxen", "a fox", options)
    submitted = (await oxen.submit(request, MEMBER)).generations
    if over:
        for each in submitted:
            service.finish(each.remote_id)
            await service.settled(each.remote_id)

    found = await oxen.find(request, *around_now())

    assert {each.remote_id for each in found} == {each.remote_id for each in submitted}
    assert {type(each.update) for each in found} == {Finished if over else Waiting}


async def test_an_edit_is_found_by_its_input(oxen: Oxen, service: FakeOxen) -> None:
    service.manual = True
    asked = asking("a fox", picture_uri(), match_input_image=True)
    (submitted,) = (await oxen.submit(asked, MEMBER)).generations
    await oxen.submit(
        asking("a fox", "https://example.com/other.png", match_input_image=True), MEMBER
    )

    found = await oxen.find(asking("a fox", picture_uri(), match_input_image=True), *around_now())

    assert [each.remote_id for each in found] == [submitted.remote_id]


async def test_what_is_older_is_not_found(oxen: Oxen, service: FakeOxen) -> None:
    await oxen.submit(asking(), MEMBER)

    since, until = around_now()
    minute = timedelta(minutes=1)
    assert len(await oxen.find(asking(), since, until)) == 1
    assert await oxen.find(asking(), since + minute, until + minute) == ()
    assert await oxen.find(asking(), since - minute, since - minute / 2) == ()


async def test_a_long_history_is_read_to_the_time_in_question(
    oxen: Oxen, service: FakeOxen
) -> None:
    service.manual = True
    since, until = around_now()
    (submitted,) = (await oxen.submit(asking("the first"), MEMBER)).generations
    for _ in range(30):
        await oxen.submit(asking(count=4), MEMBER)
    for remote_id in service.generations:
        service.advance(remote_id, "failed")

    found = await oxen.find(asking("the first"), since, until)

    assert [each.remote_id for each in found] == [submitted.remote_id]
    pages = [each for each in service.requests if each.path.endswith("/generations")]
    assert [each.query["page"] for each in pages] == ["1", "2"]


async def test_an_error_in_place_of_a_list_keeps_its_reason(oxen: Oxen, service: FakeOxen) -> None:
    error = {"error": {"message": "Invalid API key"}}
    service.faults.add("GET", "/api/ai/queue", Answer(200, error))

    with pytest.raises(ProviderError) as caught:
        await oxen.list()

    assert caught.value.reason is Reason.AUTH


async def test_a_search_that_cannot_be_made_is_an_error(oxen: Oxen, service: FakeOxen) -> None:
    service.faults.add("GET", "/api/ai/generations", Answer(200, {"oops": 1}))

    with pytest.raises(ProviderError):
        await oxen.find(asking(), *around_now())


def test_the_specs_options_are_of_the_four_kinds() -> None:
    kinds = {type(option) for option in oxen_spec(price=0).options.values()}

    assert kinds == {Choice, Whole, Flag, Text}
