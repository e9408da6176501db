"""`/mydata export`: by direct message or in the reply, with its bounds."""

import asyncio
import json
from pathlib import Path

import pytest

from bot.sandbox.discord import Interaction, Message, User
from bot.sandbox.http.faults import Answer, HoldBefore
from cogs import _data_export
from cogs.ui.wording import DataExport
from tests.cogs.test_delivery import RESULT
from tests.support.easel import Stage, text_of
from tests.support.files import picture
from tests.support.member_data import lines, unpacked
from tests.support.menus import until

MIB = 1024 * 1024
POSTS = r"/api/v10/channels/\d+/messages"
FOLLOW_UPS = r"/api/v10/webhooks/\d+/[^/]+"
NOTHING = "This bot has stored nothing about you"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeat a direct message at once."""
    monkeypatch.setattr(_data_export, "PAUSE", 0.01)


def direct(at: Stage, user: User | None = None) -> list[Message]:
    return at.discord.channel_messages(at.discord.dm_channel(user or at.ada))


def zips_of(messages: list[Message]) -> list[bytes]:
    return [file.data for each in messages for file in each.files]


async def export(
    at: Stage, *, by: User | None = None, says: str = "Your data is sent", here: bool = False
) -> Interaction:
    """Use the command, and wait until the reply says something."""
    asked = await at.command("mydata export", by=by, here=here)
    await until(lambda: says in text_of(asked))
    return asked


async def drawn(at: Stage, *prompts: str, size: int = 0) -> None:
    """Request pictures one after the other, each of `size` bytes at least."""
    for number, prompt in enumerate(prompts, start=1):
        data = picture(size=(96, 64)).ljust(size, b"\0")
        answer = Answer(200, data, {"Content-Type": "image/png"})
        rule = at.oxen.faults.add("GET", RESULT, answer)
        await at.imagine(prompt, model="oxen")
        await at.settled(number)
        rule.remove()


def no_temporary_files(folder: Path) -> bool:
    return not list((folder / "pictures").glob("*.part"))


async def test_the_data_comes_by_direct_message(at: Stage) -> None:
    async with at.easel():
        await at.imagine("a fox", model="oxen")
        await at.settled()
        await at.imagine("the owl of Ben", by=at.ben)
        await at.result("the owl of Ben")
        asked = await export(at)

    (message,) = direct(at)
    assert "everything that this bot has stored about you" in message.text()
    (file,) = message.files
    assert file.filename.startswith("easel-data-")
    assert file.filename.endswith("-1.zip")
    files = unpacked([file.data])
    (request,) = lines(files, "requests")
    assert request["prompt"] == "a fox"
    assert request["pictures"][0]["file"] in files
    assert json.loads(files["member.json"])["user_id"] == str(at.ada.id)
    assert b"the owl of Ben" not in b"".join(files.values())
    assert "1 file by direct message" in text_of(asked)
    assert no_temporary_files(at.folder)


async def test_the_data_comes_here_if_the_member_wishes(at: Stage) -> None:
    async with at.easel():
        await at.imagine("a fox")
        await at.settled()
        asked = await export(at, here=True)

    assert direct(at) == []
    (message,) = asked.followups
    assert message.ephemeral_to is at.ada
    assert len(lines(unpacked(zips_of([message])), "requests")) == 1
    assert "1 file, here below" in text_of(asked)


async def test_closed_direct_messages_are_named_and_the_data_comes_here(at: Stage) -> None:
    at.ada.accepts_dms = False
    async with at.easel():
        await at.imagine("a fox")
        await at.settled()
        asked = await export(at)

    assert direct(at) == []
    assert DataExport.CLOSED in text_of(asked)
    (message,) = asked.followups
    assert message.ephemeral_to is at.ada
    assert len(lines(unpacked(zips_of([message])), "requests")) == 1


async def test_several_files_come_one_after_the_other_with_the_progress(at: Stage) -> None:
    async with at.easel():
        await drawn(at, "a fox", "a hare", "an owl", size=6 * MIB)
        held = at.discord.faults.add("POST", POSTS, HoldBefore(), times=None)
        asked = await at.command("mydata export")
        await held.reached()
        assert DataExport.BEGUN in text_of(asked)
        held.release()
        await until(lambda: "Your data is sent: 3 files" in text_of(asked))

    messages = direct(at)
    assert [each.text().split("\n")[1] for each in messages] == [
        "Part 1 of about 3. The others follow.",
        "Part 2 of about 3. The others follow.",
        "Part 3 of 3, the last. Unpack all of them into one folder.",
    ]
    assert [bool(each.flags & 1 << 12) for each in messages] == [False, True, True]
    assert all(len(data) <= 10 * MIB for data in zips_of(messages))
    files = unpacked(zips_of(messages))
    shown = [each["file"] for line in lines(files, "requests") for each in line["pictures"]]
    assert len(shown) == 3
    assert all(len(files[name]) >= 6 * MIB for name in shown)


@pytest.mark.long
async def test_a_picture_over_the_limit_is_left_out_and_named(at: Stage) -> None:
    async with at.easel():
        await drawn(at, "a fox", size=11 * MIB)
        asked = await export(at)

    (missing,) = lines(unpacked(zips_of(direct(at))), "left-out")
    assert "More, then Originals" in missing["reason"]
    assert "1 picture is left out" in text_of(asked)


@pytest.mark.long
async def test_a_direct_message_that_fails_is_sent_again_and_never_twice(at: Stage) -> None:
    async with at.easel():
        await at.imagine("a fox")
        await at.settled()
        at.discord.faults.add("POST", POSTS, Answer(503, "<html>"), times=2)
        await export(at)
    assert len(direct(at)) == 1


@pytest.mark.long
async def test_if_discord_keeps_failing_the_member_reads_that(at: Stage) -> None:
    async with at.easel():
        await at.imagine("a fox")
        await at.settled()
        at.discord.faults.add("POST", POSTS, Answer(503, "<html>"), times=None)
        asked = await at.command("mydata export")
        await until(lambda: bool(asked.followups))

    (told,) = asked.followups
    assert "Discord did not accept the next file" in told.text()
    assert told.ephemeral_to is at.ada
    assert no_temporary_files(at.folder)


@pytest.mark.long
async def test_a_reply_that_ends_before_the_last_file_says_so(at: Stage) -> None:
    async with at.easel():
        await drawn(at, "a fox", "a hare", size=6 * MIB)
        held = at.discord.faults.add("POST", FOLLOW_UPS, HoldBefore())
        asked = await at.command("mydata export", here=True)
        await held.reached()
        at.clock.move(minutes=14)
        held.release()
        await until(lambda: len(asked.followups) == 2)

    assert "and 1 of your data were sent" in asked.followups[1].text()


@pytest.mark.long
async def test_a_member_of_whom_nothing_is_stored_reads_that(at: Stage) -> None:
    async with at.easel():
        assert NOTHING in text_of(await at.command("mydata export"))
        again = text_of(await at.command("mydata export"))

    assert "once in 10 minutes. Try again <t:" in again
    assert direct(at) == []


@pytest.mark.long
async def test_blocked_members_get_their_data_in_any_server(at: Stage) -> None:
    async with at.easel():
        await at.imagine("a fox")
        await at.settled()
    async with at.easel(blocked_users=frozenset({at.ada.id}), servers=frozenset({1})):
        await export(at)

    assert len(zips_of(direct(at))) == 1


@pytest.mark.long
async def test_the_data_comes_where_only_the_member_installed_the_bot(at: Stage) -> None:
    elsewhere = at.discord.add_channel(at.discord.add_guild("Elsewhere", bot=False), "chat")
    async with at.easel(user_install=True):
        await at.imagine("a fox")
        await at.settled()
        for here in (False, True):
            asked = await at.command(
                "mydata export", where=elsewhere, user_install_only=True, here=here
            )
            await _sent(asked)
            at.clock.move(minutes=11)

    assert len(zips_of(direct(at))) == len(zips_of(asked.followups)) == 1


@pytest.mark.long
async def test_a_stop_ends_an_export_and_leaves_no_file(at: Stage) -> None:
    async with at.easel() as app:
        await at.imagine("a fox")
        await at.settled()
        held = at.discord.faults.add("POST", POSTS, HoldBefore(), times=None)
        await at.command("mydata export")
        await held.reached()
        app.stop()
    held.remove()

    await until(lambda: no_temporary_files(at.folder))
    async with at.easel():
        await export(at)  # the time between two exports is in memory


@pytest.mark.long
async def test_a_member_waits_ten_minutes_between_two_exports(at: Stage) -> None:
    async with at.easel():
        await at.imagine("a fox")
        await at.settled()
        await export(at)
        assert "once in 10 minutes" in text_of(await at.command("mydata export"))
        at.clock.move(minutes=11)
        await export(at)

    assert len(direct(at)) == 2


@pytest.mark.long
async def test_one_export_of_a_member_runs_at_once_and_two_of_all(at: Stage) -> None:
    cyd = at.discord.add_user("Cyd")
    members = (at.ada, at.ben, cyd)
    async with at.easel():
        for user in members:
            await at.imagine(f"a fox of {user.name}", by=user)
            await at.result(f"a fox of {user.name}")
        held = at.discord.faults.add("POST", POSTS, HoldBefore(), times=None)
        running = [await at.command("mydata export", by=user) for user in members[:2]]
        await held.reached(hits=2)
        assert "is being sent already" in text_of(await at.command("mydata export"))
        refused = await at.command("mydata export", by=cyd)
        assert "The data of other members" in text_of(refused)
        held.remove()
        await asyncio.gather(*(_sent(each) for each in running))
        await export(at, by=cyd)

    assert [len(direct(at, user)) for user in members] == [1, 1, 1]


async def _sent(asked: Interaction) -> None:
    await until(lambda: "Your data is sent" in text_of(asked))
