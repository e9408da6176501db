"""Pictures that cannot be uploaded now, or at all, and pictures inside forwarded messages."""

import asyncio
import sys
from datetime import timedelta

import pytest

from bot.jobs import JobStatus
from bot.sandbox.discord import Message, Upload
from bot.sandbox.http.faults import Answer
from bot.worker import housekeeping
from cogs.delivery import uploads
from tests.support.delivery import attempted, drawing, one_each, results_in, until
from tests.support.easel import Stage, text_of
from tests.support.files import picture

pytestmark = pytest.mark.long

FOLLOW_UP = r"/api/v10/webhooks/\d+/[^/]+"
CREATE = r".*/generation/.*"
CDN = r"/ephemeral-attachments/.*"
FOREIGN = "https://example.com/a.png"
CAT = Upload("cat.png", picture())


async def logged(caplog: pytest.LogCaptureFixture, text: str) -> None:
    async with asyncio.timeout(20):
        while text not in caplog.text:
            await asyncio.sleep(0.02)


def copies(at: Stage) -> list[Message]:
    """Return the private messages with copies of input pictures."""
    return [each for each in at.discord.world.messages.values() if "Copies" in each.text()]


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]


def no_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no decoder start, and let every picture need one."""
    monkeypatch.setattr(sys, "executable", "/nowhere")
    monkeypatch.setattr(uploads, "UPLOAD_BYTES", 8 * 1024)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for due work often, so that a test moves the clock and need not wait."""
    monkeypatch.setattr(housekeeping, "INTERVAL", timedelta(seconds=0.3))


async def waited_long(at: Stage) -> None:
    """Store an edit for skills.video whose attachment has no address any more."""
    refused = at.skills.faults.add("POST", CREATE, Answer(429))
    async with at.easel():
        await at.edit(CAT, model="skills")
        await refused.reached()
        await until(at, lambda job: job.status is JobStatus.QUEUED)
    at.clock.move(minutes=11)
    at.discord.faults.add("GET", CDN, Answer(404, "removed"), times=None)


@pytest.mark.usefixtures("quick")
async def test_copies_of_inputs_without_addresses_are_made_again(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    await waited_long(at)
    empty = at.discord.faults.add("POST", FOLLOW_UP, Answer(200, {"id": "1", "components": []}))
    async with at.easel():
        await logged(caplog, "not copied for the service: the copies of the inputs have no addres")
        waiting = await until(at, lambda job: job.status is JobStatus.QUEUED)
        assert not at.skills.generations
        at.clock.move(minutes=2)
        (job,) = await at.settled()

    assert empty.hits == 1
    assert "-input-1.png" not in waiting.request.inputs[0]
    assert "-input-1.png" in job.request.inputs[0]
    assert job.status is JobStatus.SUCCEEDED
    assert len(at.skills.generations) == len(copies(at)) == 1
    assert errors(caplog) == []


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("gone", "line"),
    [
        (True, "an input picture is missing, or too large for another upload"),
        (False, "the input pictures are too large for another upload"),
    ],
)
async def test_inputs_that_cannot_be_uploaded_again_are_not_copied(
    at: Stage,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    gone: bool,
    line: str,
) -> None:
    await waited_long(at)
    (stored,) = (at.folder / "pictures").rglob("*.png")
    aside = at.folder / "aside.png"
    with monkeypatch.context() as patched:
        if gone:
            stored.rename(aside)
        else:
            patched.setattr(uploads, "UPLOAD_BYTES", len(CAT.data) - 1)
        async with at.easel():
            await logged(caplog, f"inputs not copied for the service: {line}")
            await until(at, lambda job: job.status is JobStatus.QUEUED)
            assert copies(at) == []
            assert not at.skills.generations
    if gone:
        aside.rename(stored)
    at.clock.move(minutes=2)
    async with at.easel():
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED
    assert len(at.skills.generations) == len(copies(at)) == 1
    assert errors(caplog) == []


@pytest.mark.usefixtures("quick")
async def test_a_result_that_cannot_be_shrunk_now_is_delivered_later(
    at: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with at.easel():
        await drawing(at, 1)
        with monkeypatch.context() as patched:
            no_decoder(patched)
            await at.finish()
            waiting = await attempted(at)
            assert results_in(at, at.channel) == []
        at.clock.move(seconds=10)
        (job,) = await at.settled()

    assert waiting.status is JobStatus.SUCCEEDED
    assert (waiting.delivery_error or "").startswith("pictures not shrunk: ")
    assert "unexpected error in a delivery" not in caplog.text
    one_each(results_in(at, at.channel), [job])
    assert "Shrunk" not in results_in(at, at.channel)[0].text()


async def test_show_says_that_a_picture_cannot_be_shrunk_now(
    at: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with at.easel():
        await at.imagine("a fox")
        (job,) = await at.settled()
        with monkeypatch.context() as patched:
            no_decoder(patched)
            refused = await at.command("show", job=job.id)
            async with asyncio.timeout(20):
                while refused.message is None or not refused.message.text():
                    await asyncio.sleep(0.02)
        await at.command("show", job=job.id)
        await at.discord.wait_for_message(
            lambda message: message.ephemeral_to is at.ada and bool(message.pictures())
        )

    assert text_of(refused) == (
        "That is not possible right now, and nothing was charged. Try again in a few minutes."
    )
    assert refused.message is not None
    assert refused.message.pictures() == []
    assert f"interaction {refused.id} failed" not in caplog.text


async def test_of_two_pictures_the_one_that_retention_has_left_is_shown(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "cogs")
    async with at.easel():
        await at.imagine("a fox", count=2)
        (job,) = await at.settled()
        first, _ = sorted((at.folder / "pictures").rglob("*.png"))
        first.unlink()
        await at.command("show", job=job.id)
        shown = await at.discord.wait_for_message(
            lambda message: message.ephemeral_to is at.ada and bool(message.pictures())
        )

    assert len(shown.pictures()) == 1
    assert "1 of the pictures is no longer stored." in shown.text()
    assert "too large" not in shown.text()
    assert f"picture removed by retention: {first.name}" in caplog.text


async def test_a_picture_that_no_copy_makes_small_enough_is_left_out_of_the_result(
    at: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with at.easel():
        await drawing(at, 1)
        with monkeypatch.context() as patched:
            patched.setattr(uploads, "UPLOAD_BYTES", 10)
            await at.finish()
            (job,) = await at.settled()
        (stored,) = (at.folder / "pictures").rglob("*.png")

    (told,) = at.discord.channel_messages(at.channel)
    assert told.id == job.result_message_id
    assert told.pings == [at.ada.id]
    assert told.pictures() == []
    assert "1 picture is too large to be uploaded here." in told.text()
    assert "no longer stored" not in told.text()
    assert f"picture too large to post: {stored.stem}" in caplog.text


@pytest.mark.parametrize("place", ["files", "gallery", "preview"])
async def test_the_menu_edits_the_picture_of_a_forwarded_message(
    at: Stage, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """The stand-in forwards nothing: the snapshot is added as Discord sends it."""
    async with at.easel(edit_others=True):  # whose picture it is cannot be known
        if place == "files":
            original = await at.discord.say(at.ada, at.channel, "look", [CAT])
            url = str(original.attachments[0]["url"])
        elif place == "preview":
            at.discord.world.cdn.foreign[FOREIGN] = picture()
            embed = {"title": "look", "image": {"url": FOREIGN}}
            original = await at.discord.say(at.ada, at.channel, body={"embeds": [embed]})
            url = str(original.to_json()["embeds"][0]["image"]["proxy_url"])
        else:
            await at.imagine("a fox")
            original = await at.result("a fox")
            (url,) = original.pictures()
        message = await at.discord.say(at.ada, at.channel, "forwarded")
        snapshots = [{"message": original.to_json()}]
        shown = message.to_json() | {"content": "", "message_snapshots": snapshots}
        monkeypatch.setattr(message, "to_json", lambda **_: shown)
        opened = await (await at.discord.menu(at.ben, at.channel, "Edit image", message)).answered()
        assert opened.modal is not None
        field = opened.modal["components"][0]["component"]["custom_id"]
        sent = await at.discord.submit_modal(at.ben, opened, {field: "make it blue"})
        await sent.answered()
        await at.result("make it blue")

    assert str(at.created()[-1]["input_image"]).partition("?")[0] == url.partition("?")[0]
