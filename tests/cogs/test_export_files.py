"""The files of `/mydata export` on their way: their messages, attempts and bounds."""

import logging
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from bot.sandbox.discord import Interaction, Message
from bot.sandbox.discord.messages import SILENT
from bot.sandbox.http.faults import Answer, AnswerAfter
from bot.studio.export import MOST_FILES, Bounds, NothingStored, Part
from cogs import _data_export
from cogs._data_export import PartNotSent, ReplyEnds, Sending, send_export
from cogs._replies import reply_privately
from cogs.ui.panel import notice
from cogs.ui.wording import DataExport
from tests.support.files import picture
from tests.support.serving import Serving

POSTS = r"/api/v10/channels/\d+/messages"
FOLLOW_UPS = r"/api/v10/webhooks/\d+/[^/]+"
REPLY = r"/api/v10/webhooks/.*/messages/@original"
BUSY = Answer(503, {"code": 0, "message": "busy"})
CLOSED = Answer(403, {"code": 50007, "message": "Cannot send messages to this user"})
MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_data_export, "PAUSE", 0.001)


class Exporting:
    """The sending of one export, after its first reply."""

    def __init__(self, by: Serving, folder: Path, *, guest: bool = False) -> None:
        self.by = by
        self.folder = folder
        where = by.fake.add_channel(by.fake.add_guild("Foreign", bot=False), "art")
        self.made: Interaction = by.interaction(guest=guest, where=where if guest else None)
        self.interaction = by.received(self.made)
        self.bounds = Bounds(10 * MIB, 40)
        self.sending = Sending(self.interaction, by.studio, self.bounds)

    async def begin(self) -> None:
        await reply_privately(self.interaction, notice("begun"))

    async def send(self, number: int, total: int = 5) -> None:
        path = self.folder / "part.zip"
        path.write_bytes(b"12345")
        await self.sending.send(Part(path, f"easel-data-{number}.zip", 5, number, total, 0))

    def reply(self) -> str:
        return shown(self.made)


def direct(by: Serving) -> list[Message]:
    return by.fake.channel_messages(by.fake.dm_channel(by.ada))


def shown(made: Interaction) -> str:
    """Return the text of the reply."""
    assert made.message is not None
    return made.message.text()


@pytest.fixture
async def export(by: Serving, tmp_path: Path) -> Exporting:
    made = Exporting(by, tmp_path)
    await made.begin()
    return made


async def test_only_the_first_file_notifies_the_member(export: Exporting) -> None:
    for number in (1, 2, 3):
        await export.send(number, 3)
        assert export.sending.sent == number

    sent = direct(export.by)
    assert [bool(each.flags & SILENT) for each in sent] == [False, True, True]
    assert [each.nonce for each in sent] == [f"{export.made.id}-{each}" for each in (1, 2, 3)]
    assert [each.files[0].filename for each in sent] == [
        f"easel-data-{each}.zip" for each in (1, 2, 3)
    ]
    assert "3 files by direct message" in export.reply()
    assert export.made.followups == []


async def test_a_file_is_attempted_three_times_and_is_one_message(export: Exporting) -> None:
    assert _data_export.ATTEMPTS == 3
    lost = AnswerAfter(503, {"code": 0, "message": "lost"})
    for fault in (lost, BUSY):
        export.by.fake.faults.add("POST", POSTS, fault)
    await export.send(1)
    assert len(direct(export.by)) == 1

    failing = export.by.fake.faults.add("POST", POSTS, BUSY, times=None)
    with pytest.raises(PartNotSent, match="; 1 were sent before"):
        await export.send(2)
    assert failing.hits == 3
    assert export.sending.sent == 1
    assert export.made.followups == []


async def test_the_pause_grows_with_each_attempt(
    export: Exporting, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(_data_export, "PAUSE", 1.0)
    monkeypatch.setattr(_data_export, "asyncio", SimpleNamespace(sleep=sleep))
    export.by.fake.faults.add("POST", POSTS, BUSY, times=None)
    with pytest.raises(PartNotSent):
        await export.send(1)

    assert waits == [1.0, 2.0]


async def test_after_a_refusal_all_files_follow_here(
    export: Exporting, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, _data_export.__name__)
    closed = export.by.fake.faults.add("POST", POSTS, CLOSED, times=None)
    for number in (1, 2):
        await export.send(number, 2)

    assert closed.hits == 1
    assert [each.ephemeral_to for each in export.made.followups] == [export.by.ada] * 2
    assert DataExport.CLOSED in export.reply()
    assert "2 files, here below" in export.reply()
    assert export.bounds.most == 40
    assert "direct messages are refused, an export goes on in the reply" in caplog.messages


@pytest.mark.parametrize(("number", "most"), [(1, 4), (2, 5), (36, 39), (38, 40)])
async def test_where_the_bot_is_not_installed_few_files_follow(
    by: Serving, tmp_path: Path, number: int, most: int
) -> None:
    """Discord allows five follow-ups, and one is for a failure."""
    export = Exporting(by, tmp_path, guest=True)
    export.sending.go_on_here(number)
    assert export.bounds.most == most

    unbounded = Exporting(by, tmp_path, guest=True)
    unbounded.bounds.most = None
    unbounded.sending.go_on_here(number)
    assert unbounded.bounds.most == number + 3


async def test_files_follow_here_until_two_minutes_before_the_end_of_the_reply(
    export: Exporting,
) -> None:
    begin, moved = export.by.now(), [timedelta(0)]
    export.by.studio.now = lambda: begin + moved[0]
    sending = Sending(export.interaction, export.by.studio, export.bounds)
    export.sending = sending
    sending.go_on_here(1)

    moved[0] = timedelta(minutes=13, seconds=-1)
    await export.send(1)
    moved[0] = timedelta(minutes=13)
    with pytest.raises(ReplyEnds, match="1 of your data were sent"):
        await export.send(2)
    assert len(export.made.followups) == 1


async def test_a_follow_up_that_is_refused_ends_the_export(
    export: Exporting, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, _data_export.__name__)
    export.sending.go_on_here(1)
    export.by.fake.faults.add("POST", FOLLOW_UPS, Answer(403, {"code": 50013, "message": "no"}))
    with pytest.raises(PartNotSent, match="; 0 were sent before"):
        await export.send(1)

    assert caplog.messages == ["file of an export not sent: Forbidden"]


async def test_progress_that_cannot_be_shown_is_no_error(
    export: Exporting, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, _data_export.__name__)
    export.by.fake.faults.add("PATCH", REPLY, Answer(404, {"code": 10008, "message": "Unknown"}))
    await export.send(1)

    assert export.reply() == "begun"
    assert export.sending.sent == 1
    assert caplog.messages == ["progress of an export not shown: NotFound"]


async def test_a_member_without_data_is_refused_before_the_reply(by: Serving) -> None:
    made = by.interaction()
    with pytest.raises(NothingStored):
        await send_export(by.received(made), by.studio, here=False)

    assert made.message is None


@pytest.mark.parametrize(
    ("here", "limit", "expected"), [(True, 5, 5), (True, 100, 24), (False, 5, 10)]
)
async def test_a_file_has_the_limit_of_its_place(
    by: Serving, here: bool, limit: int, expected: int
) -> None:
    """The ZIP file adds less than 16 KiB to the picture that it holds."""
    sizes = (expected * MIB, expected * MIB - 16 * 1024)
    await by.result(files=[picture().ljust(size, b"\0") for size in sizes])
    by.fake.set_upload_limit(by.server, max(limit, 10) * MIB)
    made = by.interaction()
    interaction = by.received(made, attachment_size_limit=limit * MIB)
    await send_export(interaction, by.studio, here=here)

    sent = made.followups if here else direct(by)
    (file,) = [file for each in sent for file in each.files]
    assert sizes[1] < len(file.data) <= sizes[0]
    assert "1 picture is left out" in shown(made)


async def test_an_export_has_a_bounded_number_of_files(
    by: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MOST_FILES == 40
    monkeypatch.setattr(_data_export, "MOST_FILES", 3)
    monkeypatch.setattr(_data_export, "DIRECT_BYTES", 64 * 1024)
    await by.result(files=[picture().ljust(40 * 1024, b"\0") for _ in range(4)])
    made = by.interaction()
    await send_export(by.received(made), by.studio, here=False)

    assert len(direct(by)) == 3
    assert "left out" in shown(made)


@pytest.mark.parametrize("here", [True, False])
async def test_an_export_begins_with_a_reply_and_shows_its_end_there(
    by: Serving, here: bool
) -> None:
    await by.result()
    made = by.interaction()
    await send_export(by.received(made), by.studio, here=here)

    assert made.message is not None
    assert made.message.ephemeral_to is by.ada
    assert ("here below" in shown(made)) is here
    assert (len(made.followups), len(direct(by))) == ((1, 0) if here else (0, 1))


async def test_an_export_that_takes_too_long_ends(
    by: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _data_export.MOST_SECONDS == 3600
    monkeypatch.setattr(_data_export, "MOST_SECONDS", 0.0)
    await by.result()
    with pytest.raises(PartNotSent, match="; 0 were sent before"):
        await send_export(by.received(by.interaction()), by.studio, here=True)
