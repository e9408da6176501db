import io
from typing import Any

import aiohttp
import pytest
from PIL import Image

from bot.jobs import JobStatus
from bot.sandbox.discord import MemberError
from bot.sandbox.http.faults import Answer, AnswerAfter, Reset, ResetAfter, Stall
from bot.sandbox.skills.models import Contract
from bot.store import ledger
from tests.support.easel import Stage, text_of
from tests.support.marks import decoded


async def test_a_picture_comes_to_the_channel_and_mentions_only_its_member(at: Stage) -> None:
    async with at.easel():
        asked = await at.imagine("a red fox in the snow", count=2, seed=None)
        result = await at.result("red fox")
        await at.settled()

    assert asked.message is not None
    assert asked.message.deleted  # the status message has given way
    assert (result.pings, result.pings_everyone) == ([at.ada.id], False)
    assert len(result.pictures()) == 2
    assert "Qwen Image 2 Pro at Oxen.ai" in result.text()
    assert "15 credits" in result.text()


async def test_the_pictures_are_those_that_oxen_made(at: Stage) -> None:
    async with at.easel():
        await at.imagine("a lighthouse", aspect_ratio="2:1")
        result = await at.result("lighthouse")

    async with aiohttp.ClientSession() as session, session.get(result.pictures()[0]) as response:
        data = await response.read()
    (generation,) = at.oxen.generations.values()
    assert decoded(data) == decoded(await at.oxen.runner.picture(generation))
    with Image.open(io.BytesIO(data)) as image:
        assert image.width == 2 * image.height


async def test_pictures_have_the_prompt_as_alt_text_and_ascii_names(at: Stage) -> None:
    async with at.easel():
        await at.imagine("ein Fuchs – im *Schnee*")
        result = await at.result("Fuchs")
        (job,) = await at.settled()

    gallery = next(child for child in result.components[0]["components"] if child["type"] == 12)
    assert gallery["items"][0]["description"] == "AI-generated: ein Fuchs – im *Schnee*"
    assert f"/easel-{job.id}-1.png" in result.pictures()[0]


async def test_every_option_goes_out_by_the_name_of_the_document(at: Stage) -> None:
    async with at.easel():
        await at.imagine(
            "a fox",
            model="oxen",
            aspect_ratio="3:2",
            negative_prompt="rain",
            seed=7,
            expand_prompt=False,
            count=1,
        )
        await at.imagine("a hen")
        await at.settled(2)

    assert at.created()[0] == {
        "model": "qwen-image-2",
        "prompt": "a fox",
        "aspect_ratio": "3:2",
        "negative_prompt": "rain",
        "seed": 7,
        "enable_prompt_expansion": False,
        "num_generations": 1,
    }
    assert at.created()[1] == {"model": "qwen-image-2", "prompt": "a hen"}


async def test_the_status_tells_what_happens_and_says_which_model_was_chosen(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel():
        asked = await at.imagine("a fox")
        assert asked.message is not None
        assert "Queued" in asked.message.text()
        assert "chosen for you" in asked.message.text()

        await at.said("Drawing")


@pytest.mark.long
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"prompt": "a fox", "aspect_ratio": "5:4"}, "1:1, 16:9, 9:16, 4:3, 3:4, 3:2, 2:3"),
        ({"prompt": "a fox", "model": "dall-e"}, "no model “dall-e”. Choose one of: oxen, skills"),
        ({"prompt": "a fox", "seed": 1, "count": 2}, "one seed makes one picture"),
        ({"prompt": "a fox", "model": "skills", "aspect_ratio": "2:1"}, "choose model oxen"),
        ({"prompt": "a fox", "model": "oxen", "image_size": "square"}, "no option image_size"),
        (
            {"prompt": "a fox", "aspect_ratio": "1:1", "image_size": "square"},
            "aspect_ratio and image_size exclude each other",
        ),
        (
            {"prompt": "a fox", "model": "skills", "negative_prompt": "x" * 501},
            "skills.video takes up to 500",
        ),
        ({"prompt": "\u2800\u200b"}, "1 to 2000 characters"),
    ],
)
async def test_a_refusal_is_private_and_nothing_is_stored_or_sent(
    at: Stage, options: dict[str, Any], says: str
) -> None:
    async with at.easel():
        refused = await at.command("imagine", **options)

        assert says in text_of(refused)
        assert at.discord.channel_messages(at.channel) == []

    assert await at.jobs() == []
    assert at.created() == []


@pytest.mark.long
@pytest.mark.parametrize(
    "options",
    [
        {"prompt": "x" * 2001},
        {"prompt": "a fox", "count": 9},
        {"prompt": "a fox", "count": 0},
        {"prompt": "a fox", "seed": 2147483648},
        {},
    ],
)
async def test_ranges_are_declared_to_discord(at: Stage, options: dict[str, Any]) -> None:
    async with at.easel():
        with pytest.raises(MemberError):
            await at.command("imagine", **options)


@pytest.mark.long
async def test_options_complete_themselves_by_the_model_and_what_is_typed(at: Stage) -> None:
    async def offered(option: str, typed: str, **others: object) -> list[str]:
        options = {"prompt": "a fox", option: typed, **others}
        found = await at.discord.complete(at.ada, at.channel, "imagine", options, option)
        return [choice["value"] for choice in found]

    async with at.easel():
        assert await offered("model", "") == ["oxen", "skills"]
        assert await offered("model", "OXEN") == ["oxen"]
        assert await offered("model", "dall") == []
        assert len(await offered("aspect_ratio", "")) == 9
        assert len(await offered("aspect_ratio", "", model="oxen")) == 9
        assert len(await offered("aspect_ratio", "", model="skills")) == 7
        assert await offered("aspect_ratio", "16", model="oxen") == ["16:9", "9:16"]
        assert len(await offered("image_size", "", model="skills")) == 6
        assert await offered("image_size", "", model="oxen") == []
        assert await offered("output_format", "we", model="skills") == ["webp"]
        assert await offered("output_format", "", model="oxen") == []


@pytest.mark.parametrize("contract", ["old", "new"])
async def test_skills_video_works_from_end_to_end(at: Stage, contract: Contract) -> None:
    at.skills.contract = contract
    async with at.easel():
        await at.imagine(
            "a hen", model="skills", image_size="portrait_4_3", output_format="webp", count=2
        )
        result = await at.result("a hen")
        (job,) = await at.settled()

    created = [r.body for r in at.skills.requests if r.method == "POST"]
    assert created == [
        {"prompt": "a hen", "image_size": "portrait_4_3", "output_format": "webp", "n": 2}
    ]
    assert len(result.pictures()) == 2
    assert all(f"/easel-{job.id}-" in url and ".webp" in url for url in result.pictures())
    assert "Qwen Image 2 Pro at skills.video" in result.text()
    assert (job.cost, job.estimated) == (40_000, False)
    assert await at.balance() == -40_000
    async with at.database() as database, database.reading() as view:
        capture = (await ledger.entries_of(view, job.id))[-1]
    assert capture.details == {"total": "40", "subscription": "40", "permanent": "0"}


@pytest.mark.long
async def test_without_a_model_the_one_that_can_is_chosen_and_named(at: Stage) -> None:
    async with at.easel():
        asked = await at.imagine("a hen", output_format="jpeg")
        await at.result("a hen")

    assert asked.message is not None
    assert at.created() == []
    assert len(at.skills.generations) == 1


@pytest.mark.long
async def test_a_failure_inside_a_200_costs_the_member_nothing(at: Stage) -> None:
    at.skills.charge_failed = True
    at.skills.fail_next("Content was rejected", "IMAGE_GENERATION_CONTENT_REJECTED")
    async with at.easel():
        await at.imagine("a hen", model="skills")
        failure = await at.said("refused this prompt or picture")
        await at.settled()

    assert "Nothing was charged" in failure.text()
    assert await at.balance() == 0


@pytest.mark.long
async def test_skills_video_cannot_stop_and_delivers_what_it_began(at: Stage) -> None:
    at.skills.manual = True
    async with at.easel():
        await at.imagine("a hen", model="skills")
        status = await at.said("Drawing")
        pressed = await at.discord.click(at.ada, status, str(status.buttons()[0]["custom_id"]))
        told = text_of(await pressed.answered())
        for remote_id in at.skills.generations:
            at.skills.finish(remote_id)
        await at.result("a hen")
        await at.settled()

    assert told == (
        "skills.video cannot cancel a running job. The picture will be delivered and charged."
    )
    assert await at.balance() == -20_000


@pytest.mark.long
async def test_who_has_no_credits_left_is_refused_with_what_resets_when(at: Stage) -> None:
    async with at.easel(monthly_credits=20):
        await at.imagine("a fox", count=2)
        refused = await at.imagine("a fox", count=1)
        assert "costs 7.5 credits, and you have 5 credits left" in text_of(refused)
        assert "<t:" in text_of(refused)

        await at.imagine("a fox", by=at.ben)  # an allowance is a member's own
        await at.settled()

    assert len(at.created()) == 2


@pytest.mark.long
@pytest.mark.parametrize("fault", [ResetAfter(), AnswerAfter(502, "oops"), Stall(0.2)])
async def test_an_answer_in_doubt_that_arrived_is_adopted(
    at: Stage, fault: ResetAfter | AnswerAfter | Stall
) -> None:
    """The connection broke after Discord took the answer: the job goes on all the same.

    discord.py sends an answer again after a 5xx, and Discord then refuses it as the second one.
    """
    at.discord.faults.add("POST", r".*/callback", fault)
    async with at.easel():
        await at.discord.command(at.ada, at.channel, "imagine", {"prompt": "a fox"})
        await at.discord.wait_for_message(lambda message: "Queued" in message.text())
        at.clock.move(seconds=20)

        await at.result("a fox")

    assert len(at.created()) == 1


@pytest.mark.long
async def test_an_answer_that_never_arrived_cancels_the_job(at: Stage) -> None:
    lost = at.discord.faults.add("POST", r".*/callback", Reset())
    async with at.easel():
        await at.discord.command(at.ada, at.channel, "imagine", {"prompt": "a fox"})
        await lost.reached()
        at.clock.move(seconds=40)
        (job,) = await at.settled()

    assert job.status is JobStatus.CANCELED
    assert await at.balance() == 0
    assert at.created() == []


async def test_an_interaction_that_discord_has_forgotten_costs_nothing(at: Stage) -> None:
    gone = {"code": 10062, "message": "Unknown interaction"}
    at.discord.faults.add("POST", r".*/callback", Answer(404, gone))
    async with at.easel():
        await at.discord.command(at.ada, at.channel, "imagine", {"prompt": "a fox"})
        (job,) = await at.settled()

    assert job.status is JobStatus.CANCELED
    assert await at.balance() == 0
    assert at.created() == []
