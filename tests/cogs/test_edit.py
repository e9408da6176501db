import asyncio
import io
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from PIL import Image, ImageStat

from bot.app import App
from bot.errors import Reason
from bot.jobs import JobStatus
from bot.pictures.download import BYTES_IN_FLIGHT, PICTURE_BYTES
from bot.sandbox.discord import Interaction, Message, Upload
from bot.sandbox.http.faults import Answer, Fault, Hold, Reset
from bot.worker import inputs as worker_inputs
from tests.support.easel import Stage, gateway_of, text_of
from tests.support.files import jpeg_with_metadata, picture, png_header

CDN = r"/ephemeral-attachments/.*"
CAT = Upload("cat.png", picture())
MIB = 1024 * 1024


def asked(at: Stage) -> int:
    return len(at.oxen.generations) + len(at.skills.generations)


async def seen(at: Stage, message: Message) -> Image.Image:
    """The first picture of a message, as Discord serves it."""
    async with aiohttp.ClientSession() as session, session.get(message.pictures()[0]) as response:
        data = await response.read()
    return await asyncio.to_thread(lambda: Image.open(io.BytesIO(data)).convert("RGB"))


async def test_oxen_edits_the_picture_that_was_attached(at: Stage) -> None:
    red = io.BytesIO()
    Image.new("RGB", (400, 200), "#d01010").save(red, "PNG")
    async with at.easel():
        await at.edit(Upload("red.png", red.getvalue()), model="oxen", match_input_image=True)
        result = await at.result("make it blue")
        (job,) = await at.settled()

    (body,) = at.created()
    assert body["match_input_image"] is True
    assert body["input_image"].endswith("&")
    assert "/ephemeral-attachments/" in body["input_image"]
    made = await seen(at, result)
    assert made.width == 2 * made.height
    red_part, green_part, _ = ImageStat.Stat(made).mean
    assert red_part > 1.5 * green_part  # the input shines through
    assert "from 1 picture" in result.text()
    assert job.status is JobStatus.SUCCEEDED
    assert await at.balance() == -(job.cost or 0)


async def test_skills_video_gets_all_four_in_their_order(at: Stage) -> None:
    files = [Upload(f"{name}.png", picture(size=(40 + n, 40))) for n, name in enumerate("abcd")]
    async with at.easel():
        await at.edit(*files, output_format="webp", image_size="square")
        await at.result("make it blue")

    (generation,) = at.skills.generations.values()
    urls = generation.body["image_urls"]
    assert isinstance(urls, list)
    assert [str(url).partition("?")[0][-5:] for url in urls] == ["a.png", "b.png", "c.png", "d.png"]
    assert not at.oxen.generations  # it takes one only, so the other was chosen


async def test_a_jpeg_whose_header_comes_late_is_a_jpeg(at: Stage) -> None:
    async with at.easel():
        await at.edit(Upload("late.jpg", jpeg_with_metadata(90_000)))
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED


@pytest.mark.parametrize(
    ("upload", "rule"),
    [
        (Upload("paper.pdf", b"%PDF-1.7 " + b"x" * 100), "is not a picture"),
        (Upload("cat.gif", picture("GIF", mode="P")), "is a GIF. Save it as PNG"),
        (Upload("nothing.png", b""), "is empty"),
        (Upload("cat.png", b"I am a text file, renamed to look like a cat"), "is not a picture"),
        (Upload("wide.png", png_header(20_000, 20_000)), "20000x20000"),
    ],
    ids=lambda value: value.filename if isinstance(value, Upload) else "",
)
async def test_what_is_no_picture_for_a_model_is_refused_by_name(
    at: Stage, upload: Upload, rule: str
) -> None:
    async with at.easel():
        refused = await at.edit(CAT, upload, model="skills")
        assert upload.filename in text_of(refused)
        assert rule in text_of(refused)

    assert await at.jobs() == []
    assert asked(at) == 0


async def test_a_large_file_is_refused_before_it_is_fetched(at: Stage) -> None:
    at.ada.upload_limit = 100 * MIB
    huge = Upload("huge.png", picture() + bytes(60 * MIB))
    async with at.easel():
        refused = await at.edit(huge)

    assert "`huge.png` has 60 MiB" in text_of(refused)
    assert await at.jobs() == []


@pytest.mark.parametrize(
    ("upload", "rule"),
    [
        (Upload("torn.png", picture(size=(300, 300))[:-5000]), "is damaged"),
        (Upload("torn.jpg", picture("JPEG", size=(300, 300))[:-5000]), "is damaged"),
        (Upload("torn.webp", picture("WEBP", size=(300, 300))[:-5000]), "is damaged"),
    ],
    ids=lambda value: value.filename if isinstance(value, Upload) else "",
)
async def test_what_shows_only_later_fails_the_job_by_name(
    at: Stage, upload: Upload, rule: str
) -> None:
    async with at.easel():
        await at.edit(upload)
        failure = await at.said(rule)
        (job,) = await at.settled()

    assert f"`{upload.filename}`" in failure.text()
    assert failure.pings == [at.ada.id]
    assert (job.status, job.reason) == (JobStatus.FAILED, Reason.INPUT)
    assert await at.balance() == 0
    assert asked(at) == 0


@pytest.mark.long
async def test_an_attachment_that_vanished_fails_the_job_by_name(at: Stage) -> None:
    at.discord.faults.add("GET", CDN, Answer(404, "gone"), times=None)
    async with at.easel():
        await at.edit(CAT)
        await at.said("`cat.png` is no longer available")
        (job,) = await at.settled()

    assert (job.status, job.reason) == (JobStatus.FAILED, Reason.INPUT)
    assert await at.balance() == 0
    assert asked(at) == 0


@pytest.mark.long
@pytest.mark.parametrize("fault", [Answer(503, "busy"), Reset()], ids=str)
async def test_a_cdn_that_fails_is_asked_again(at: Stage, fault: Fault) -> None:
    at.discord.faults.add("GET", CDN, fault, times=4)
    async with at.easel():
        await at.edit(CAT)
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED


@pytest.mark.long
async def test_two_pictures_at_oxen_are_refused(at: Stage) -> None:
    async with at.easel():
        refused = await at.edit(CAT, CAT, model="oxen")

    assert "Oxen.ai takes one picture, and you gave 2" in text_of(refused)
    assert await at.jobs() == []


@pytest.mark.long
async def test_match_input_image_with_a_ratio_is_refused(at: Stage) -> None:
    async with at.easel():
        refused = await at.edit(CAT, match_input_image=True, aspect_ratio="1:1")

    assert "exclude each other" in text_of(refused)


@pytest.mark.long
async def test_inputs_are_kept_and_found_again_after_a_restart(at: Stage) -> None:
    """Killed before the attachment was fetched."""
    at.discord.faults.add("GET", CDN, Answer(503, "busy"), times=None)
    async with at.easel():
        await at.edit(CAT)
    at.discord.faults.clear()
    at.clock.move(minutes=1)

    async with at.easel():
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED
    kept = [file.read_bytes() for file in (at.folder / "pictures").rglob("*.png")]
    assert CAT.data in kept


async def waited_long(at: Stage, model: str, *, minutes: int = 12) -> None:
    """An edit that could be sent only when its attachment was there no longer."""
    path = "/api/ai/queue" if model == "oxen" else ".*/generation/.*"
    api = at.oxen if model == "oxen" else at.skills
    refused = api.faults.add("POST", path, Answer(429), times=1)
    async with at.easel():
        await at.edit(CAT, model=model)
        async with asyncio.timeout(20):
            while not refused.hits or (await at.jobs())[0].status is not JobStatus.QUEUED:
                await asyncio.sleep(0.02)
    at.clock.move(minutes=minutes)
    at.discord.faults.add("GET", CDN, Answer(404, "removed"), times=None)


@pytest.mark.long
async def test_later_skills_video_gets_a_copy_that_only_the_member_sees(at: Stage) -> None:
    await waited_long(at, "skills")

    async with at.easel():
        await at.result("make it blue")
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED
    assert "-input-1.png" in job.request.inputs[0]
    (copies,) = (each for each in at.discord.world.messages.values() if "Copies" in each.text())
    assert copies.ephemeral_to is at.ada
    assert "AI-generated" not in str(copies.components)
    public = [
        picture
        for each in at.discord.world.messages.values()
        if each.ephemeral_to is None
        for picture in each.pictures()
    ]
    assert [url.partition("?")[0].rpartition("/")[2] for url in public] == [f"easel-{job.id}-1.png"]


@pytest.mark.long
async def test_later_oxen_gets_the_picture_itself(at: Stage) -> None:
    await waited_long(at, "oxen")

    async with at.easel():
        await at.oxen.created()
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED
    assert str(at.created()[-1]["input_image"]).startswith("data:image/png;base64,")
    assert not [each for each in at.discord.world.messages.values() if "Copies" in each.text()]


@pytest.mark.long
async def test_after_the_token_expired_skills_video_gets_no_copy_and_the_member_is_told(
    at: Stage,
) -> None:
    await waited_long(at, "skills")
    at.clock.move(minutes=4)

    async with at.easel():
        await at.said("Attach the picture again")
        (job,) = await at.settled()

    assert (job.status, job.reason) == (JobStatus.FAILED, Reason.INPUT)
    assert await at.balance() == 0
    assert at.skills.generations == {}


@pytest.mark.long
async def test_a_picture_inside_a_request_waits_for_the_bytes_in_flight(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_inputs, "ROOM_SECONDS", 0.2)
    await waited_long(at, "oxen", minutes=0)
    refused = at.oxen.faults.add("POST", "/api/ai/queue", Answer(429), times=None)
    at.discord.faults.add(
        "PATCH", "/api/v10/webhooks/.*", Answer(403, {"message": "no"}), times=None
    )

    async with at.easel() as app:
        limit = app.services.downloader.in_flight
        async with limit.take(1, BYTES_IN_FLIGHT), limit.take(2, PICTURE_BYTES):
            refused.remove()
            before = len(at.created())
            at.clock.move(minutes=12)
            await asyncio.sleep(3)
            assert len(at.created()) == before
        await at.oxen.created()
        at.discord.faults.clear()
        (job,) = await at.settled()
        assert limit.used == 0

    assert job.status is JobStatus.SUCCEEDED


Open = Callable[[Message], Awaitable[Interaction]]


@pytest.fixture
def menu(at: Stage) -> Open:
    async def use(message: Message) -> Interaction:
        return await (
            await at.discord.menu(at.ben, message.channel, "Edit image", message)
        ).answered()

    return use


def fields(interaction: Interaction) -> list[str]:
    """The custom_ids of a modal's fields."""
    assert interaction.modal is not None
    return [each["component"]["custom_id"] for each in interaction.modal["components"]]


@pytest.mark.long
async def test_the_menu_edits_the_picture_of_an_own_message(at: Stage, menu: Open) -> None:
    async with at.easel():
        message = await at.discord.say(at.ben, at.channel, "look", [CAT])
        opened = await menu(message)
        (prompt,) = fields(opened)
        sent = await at.discord.submit_modal(at.ben, opened, {prompt: "as a watercolour"})
        await sent.answered()
        result = await at.result("as a watercolour")

    assert result.pings == [at.ben.id]
    assert str(at.created()[0]["input_image"]).partition("?")[0].endswith("/cat.png")


@pytest.mark.long
async def test_the_menu_edits_a_result_of_the_bots_own(at: Stage, menu: Open) -> None:
    async with at.easel():
        await at.imagine("a fox")
        result = await at.result("a fox")
        await at.settled()
        opened = await menu(result)
        assert fields(opened) == ["prompt", "references"]
        sent = await at.discord.submit_modal(at.ben, opened, {"prompt": "now at night"})
        await sent.answered()
        await at.result("now at night")

    assert str(at.created()[-1]["input_image"]).startswith("data:image/png")  # the stored one


@pytest.mark.long
async def test_the_menu_on_a_private_message_of_the_bot_makes_a_private_job(
    at: Stage, menu: Open
) -> None:
    async with at.easel():
        await at.imagine("a secret", by=at.ben, private=True)
        async with asyncio.timeout(20):
            while not (jobs := await at.jobs(at.ben)) or not jobs[0].delivered_at:
                await asyncio.sleep(0.02)
        shown = (await at.command("show", by=at.ben, job=jobs[0].id)).message
        assert shown is not None
        await at.discord.wait_for_message(lambda it: it is shown and not it.loading)
        opened = await menu(shown)
        (prompt,) = fields(opened)
        sent = await at.discord.submit_modal(at.ben, opened, {prompt: "as a watercolour"})
        await sent.answered()
        assert sent.message is not None
        assert sent.message.ephemeral_to is at.ben
        await at.result("as a watercolour")

    edited, _ = await at.jobs(at.ben)
    assert edited.route.private


@pytest.mark.long
async def test_of_several_pictures_the_modal_asks_which(at: Stage, menu: Open) -> None:
    files = [Upload(f"{name}.png", picture()) for name in ("x" * 150, *"bcde")]
    async with at.easel():
        opened = await menu(await at.discord.say(at.ben, at.channel, "five", files))
        prompt, which = fields(opened)
        assert opened.modal is not None
        select = opened.modal["components"][1]["component"]
        assert len(select["options"]) == 5
        assert select["options"][0]["label"] == f"1: {'x' * 96}…"
        assert select["max_values"] == 4
        values = {prompt: "join them", which: ["1", "3"]}
        sent = await at.discord.submit_modal(at.ben, opened, values)
        await sent.answered()
        await at.result("join them")

    (generation,) = at.skills.generations.values()
    urls = generation.body["image_urls"]
    assert isinstance(urls, list)
    assert [str(url).partition("?")[0][-5:] for url in urls] == ["b.png", "d.png"]


@pytest.mark.long
@pytest.mark.parametrize("files", [[], [Upload("notes.txt", b"no picture")]], ids=["none", "text"])
async def test_the_menu_on_a_message_without_a_picture_says_so(
    at: Stage, menu: Open, files: list[Upload]
) -> None:
    async with at.easel():
        refused = await menu(await at.discord.say(at.ben, at.channel, "hello", files))

    assert "This message has no picture" in text_of(refused)


@pytest.mark.long
async def test_what_the_menu_is_given_is_judged_like_an_attachment(at: Stage, menu: Open) -> None:
    text = Upload("cat.png", b"I am a text file, renamed to look like a cat")
    async with at.easel():
        opened = await menu(await at.discord.say(at.ben, at.channel, "cat", [text]))
        sent = await at.discord.submit_modal(at.ben, opened, {fields(opened)[0]: "blue"})
        refused = await sent.answered()

    assert "`cat.png` is not a picture" in text_of(refused)
    assert await at.jobs(at.ben) == []


@pytest.mark.long
async def test_a_form_from_before_a_restart_is_answered(at: Stage, menu: Open) -> None:
    async with at.easel():
        opened = await menu(await at.discord.say(at.ben, at.channel, "look", [CAT]))
    async with at.easel():
        sent = await at.discord.submit_modal(at.ben, opened, {fields(opened)[0]: "blue"})
        answer = await sent.answered()

    assert "This form is closed" in text_of(answer)
    assert await at.jobs(at.ben) == []


def forms_stored(app: App) -> int:
    client = gateway_of(app).client
    assert client is not None
    assert client._connection._view_store._modals == {}
    return len(client.menu_forms)


async def test_a_form_is_closed_after_an_hour_and_leaves_memory(at: Stage, menu: Open) -> None:
    async with at.easel() as app:
        message = await at.discord.say(at.ben, at.channel, "look", [CAT])
        opened = await menu(message)
        at.clock.move(hours=1)
        sent = await at.discord.submit_modal(at.ben, opened, {fields(opened)[0]: "blue"})
        answer = await sent.answered()
        mine = await at.discord.say(at.ada, at.channel, "look", [CAT])
        await (await at.discord.menu(at.ada, at.channel, "Edit image", mine)).answered()
        assert forms_stored(app) == 1

    assert "an hour has passed" in text_of(answer)
    assert await at.jobs(at.ben) == []


@pytest.mark.long
async def test_a_form_is_read_before_discords_answer_to_it_is(at: Stage) -> None:
    held = at.discord.faults.add("POST", r".*/callback", Hold())
    async with at.easel():
        message = await at.discord.say(at.ben, at.channel, "look", [CAT])
        opened = await at.discord.menu(at.ben, at.channel, "Edit image", message)
        await held.reached()
        sent = await at.discord.submit_modal(at.ben, opened, {fields(opened)[0]: "as an oil"})
        await sent.answered()
        held.release()
        await at.result("as an oil")

    assert len(await at.jobs(at.ben)) == 1


@pytest.mark.long
async def test_a_member_has_one_form_at_a_time(at: Stage, menu: Open) -> None:
    async with at.easel() as app:
        message = await at.discord.say(at.ben, at.channel, "look", [CAT])
        first, second = await menu(message), await menu(message)
        assert forms_stored(app) == 1
        late = await at.discord.submit_modal(at.ben, first, {fields(first)[0]: "blue"})
        refused = await late.answered()
        sent = await at.discord.submit_modal(at.ben, second, {fields(second)[0]: "as an oil"})
        await sent.answered()
        await at.result("as an oil")
        assert forms_stored(app) == 0

    assert "you opened another form" in text_of(refused)
    assert len(await at.jobs(at.ben)) == 1


@pytest.mark.long
async def test_a_form_that_failed_can_be_sent_again(at: Stage, menu: Open) -> None:
    async with at.easel():
        opened = await menu(await at.discord.say(at.ben, at.channel, "look", [CAT]))
        (prompt,) = fields(opened)
        refused = await at.discord.submit_modal(at.ben, opened, {prompt: " "})
        await refused.answered()
        again = await at.discord.submit_modal(at.ben, opened, {prompt: "blue"})
        await again.answered()

    assert len(await at.jobs(at.ben)) == 1
