"""The deletion of a member's data, on both databases: what goes and what stays."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select, update

from bot.erase_command import request_deletion
from bot.errors import Reason
from bot.jobs import JobStatus, Notify
from bot.pictures.erasures import ERASED
from bot.pseudonym_key import note_key
from bot.pseudonyms import Pseudonyms
from bot.sandbox.discord import Message, Upload, User
from bot.sandbox.http.faults import Answer, Hold
from bot.settings import Settings
from bot.store import erasure, erasure_requests, favourites, members, preferences
from bot.store.database import Database, Transaction
from bot.store.erasure_requests import Erasure
from bot.store.tables import changes, jobs, metadata, pictures
from bot.store.tables import ledger as entries
from bot.worker import erasing
from tests.support import cluster
from tests.support.acting import press
from tests.support.easel import Stage, text_of
from tests.support.files import picture
from tests.support.managing import let_manage

KEY = "the-key-of-the-pseudonyms-of-the-tests"
DELETE_MESSAGE = r"/api/v10/channels/\d+/messages/\d+"
MINE = picture(size=(50, 30))
WORDS = ("zebra", "walrus", "secretly", "mine.png")  # that only Ada writes


@pytest.fixture(autouse=True)
def key(at: Stage, monkeypatch: pytest.MonkeyPatch) -> Pseudonyms:
    monkeypatch.setattr(erasing, "WAIT", 0.05)
    at.settings = {**at.settings, "pseudonym_key": KEY}
    return Pseudonyms(SecretStr(KEY))


async def everything(at: Stage) -> str:
    """Return all values of all tables as one text."""
    async with at.database() as database, database.reading() as view:
        rows = [await view.execute(select(table)) for table in metadata.sorted_tables]
        return "\n".join(str(tuple(row)) for found in rows for row in found)


async def draw(at: Stage) -> Message:
    """Let Ada have a result, an edit of an own picture, a favourite and a choice."""
    result = await drawn(at, "a zebra", by=at.ada)
    await at.edit(Upload("mine.png", MINE), prompt="a walrus secretly")
    await at.result("a walrus")
    (job, *_) = await at.settled(2)
    async with at.database() as database, database.transaction() as tx:
        await favourites.add(tx, at.ada.id, job.id, at.clock())
        await preferences.choose_notify(tx, at.ada.id, Notify.SILENT, at.clock())
    return result


async def drawn(at: Stage, prompt: str, *, by: User) -> Message:
    await at.imagine(prompt, by=by)
    return await at.result(prompt)


async def ask(at: Stage, *, by: User | None = None) -> Message:
    asked = await at.command("mydata delete", by=by)
    assert asked.message is not None
    assert asked.message.ephemeral_to is (by or at.ada)
    return asked.message


async def delete(at: Stage, label: str = "Delete my data") -> None:
    await press(at, await ask(at), label)


async def deletions(at: Stage) -> list[Erasure]:
    async with at.database() as database, database.reading() as view:
        return await erasure_requests.pending(view)


async def erased(at: Stage, *, timeout: float = 20) -> None:
    """Wait until no deletion is pending."""
    async with asyncio.timeout(timeout):
        while await deletions(at):
            await asyncio.sleep(0.05)


async def nothing_is_left(at: Stage) -> None:
    text = await everything(at)
    assert str(at.ada.id) not in text
    assert not [word for word in WORDS if word in text]
    for path in at.folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not [word for word in WORDS if word.encode() in data], path


def files(at: Stage) -> set[str]:
    """Return the names of the stored originals."""
    return {path.name for path in (at.folder / "pictures").glob("??/*") if path.suffix != ".part"}


async def sums(at: Stage) -> tuple[int, int]:
    async with at.database() as database, database.reading() as view:
        found = await view.execute(select(func.count(), func.sum(entries.c.amount)))
        number, amount = found.one()
    return int(number), int(amount)


async def test_everything_goes_and_the_amounts_stay(
    at: Stage, key: Pseudonyms, caplog: pytest.LogCaptureFixture
) -> None:
    async with at.easel():
        await draw(at)
        await drawn(at, "a badger", by=at.ben)
        before, amounts = files(at), await sums(at)
        await delete(at)
        await erased(at)
        left = files(at)
        assert "Nothing is stored about you" in text_of(await at.command("mydata delete"))
    await nothing_is_left(at)

    assert await sums(at) == amounts
    assert len(before) > len(left) == 1
    assert await at.balance(at.ada) == 0
    assert str(at.ada.id) not in caplog.text
    async with at.database() as database, database.reading() as view:
        hidden = select(func.sum(entries.c.amount)).where(entries.c.user_id == key.of(at.ada.id))
        mine = int(await view.scalar(hidden) or 0)
        assert await view.scalar(select(func.count()).select_from(pictures)) == 1
    assert mine < 0
    (other,) = await at.jobs(at.ben)
    assert other.request.prompt == "a badger"


async def test_posted_results_go_if_that_is_wished(at: Stage) -> None:
    async with at.easel():
        result = await draw(at)
        other = await drawn(at, "a badger", by=at.ben)
        await delete(at, "Delete my data and results")
        await erased(at)

    assert result.deleted
    assert not other.deleted
    shown = [each for each in at.discord.world.messages.values() if not each.deleted]
    assert not [each for each in shown if "zebra" in each.text() and not each.ephemeral_to]


async def test_posted_results_stay_and_their_buttons_say_what_happened(at: Stage) -> None:
    async with at.easel():
        result = await draw(at)
        await delete(at)
        await erased(at)
        pressed = await press(at, result, "Again", by=at.ben)

    assert not result.deleted
    assert "was deleted" in text_of(pressed)


@pytest.mark.long
async def test_a_message_that_discord_refuses_to_delete_is_done_with(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "RETRY", timedelta(milliseconds=50))
    body = {"code": 50013, "message": "Missing Permissions"}
    async with at.easel():
        await draw(at)
        at.discord.faults.add("DELETE", DELETE_MESSAGE, Answer(503), times=8)  # it is retried
        refused = at.discord.faults.add("DELETE", DELETE_MESSAGE, Answer(403, body), times=1)
        await delete(at, "Delete my data and results")
        await erased(at, timeout=60)

    assert refused.hits == 1
    await nothing_is_left(at)


@pytest.mark.long
async def test_jobs_under_way_end_first_and_later_ones_stay(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel():
        await at.imagine("a zebra")
        await at.said("Drawing")
        question = await ask(at)
        assert "1 of them is under way" in question.text()
        pressed = await press(at, question, "Delete my data")
        assert "0 of 1 job" in pressed.message.text() if pressed.message else False
        at.clock.move(seconds=1)
        await at.imagine("a badger")
        assert "is being deleted" in text_of(await at.command("mydata delete"))
        await at.finish()
        await at.result("a zebra")
        await erased(at)
        at.oxen.manual = False
        found = await at.settled(1)

    assert [job.request.prompt for job in found] == ["a badger"]
    assert "zebra" not in await everything(at)


@pytest.mark.long
async def test_a_second_press_shows_the_progress_of_the_first(at: Stage) -> None:
    held = at.discord.faults.add("DELETE", DELETE_MESSAGE, Hold(), times=None)
    async with at.easel():
        await draw(at)
        question = await ask(at)
        await press(at, question, "Delete my data and results")
        await held.reached()
        shown = await ask(at)
        assert "0 of 2 jobs" in shown.text()
        held.remove()
        await erased(at)
        refreshed = await press(at, shown, "Refresh")

    assert refreshed.message is not None
    assert "Your data is deleted" in refreshed.message.text()


@pytest.mark.long
async def test_who_keeps_everything_has_everything(at: Stage) -> None:
    async with at.easel():
        await draw(at)
        kept = await press(at, await ask(at), "Keep everything")

    assert kept.message is not None
    assert "Nothing was deleted" in kept.message.text()
    assert len(await at.jobs()) == 2


@pytest.mark.long
async def test_a_blocked_member_may_delete(at: Stage) -> None:
    async with at.easel():
        await draw(at)
    async with at.easel(blocked_users=str(at.ada.id)):
        await delete(at)
        await erased(at)

    await nothing_is_left(at)


@pytest.mark.long
async def test_pictures_in_the_jobs_of_others_go_too(at: Stage) -> None:
    async with at.easel(edit_others=True):
        await draw(at)
        inputs = (Upload("a.png", MINE), Upload("b.png", picture(size=(60, 40))))
        await at.edit(*inputs, prompt="a badger", by=at.ben)
        await at.result("a badger")
        before = files(at)
        await delete(at)
        await erased(at)
        after = files(at)

    assert len(before) == 5  # two results, an input, and of Ben a result and an input
    assert len(after) == 2
    await nothing_is_left(at)


@pytest.mark.long
async def test_a_picture_that_a_running_job_needs_waits(at: Stage) -> None:
    async with at.easel(edit_others=True):
        await draw(at)
        at.oxen.manual = True
        await at.edit(Upload("a.png", MINE), prompt="a badger", by=at.ben)
        await at.said("Drawing")
        await delete(at)
        async with asyncio.timeout(20):
            while len(await at.jobs()) > 1:
                await asyncio.sleep(0.05)
        (waiting,) = await at.jobs()
        assert waiting.inputs  # which the other job needs
        await at.finish()
        await erased(at)

    await nothing_is_left(at)


@pytest.mark.long
async def test_a_kill_in_the_middle_is_made_up_for(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "SLICE", 1)
    async with at.easel():
        await draw(at)
        held = at.discord.faults.add("DELETE", DELETE_MESSAGE, Hold())
        await delete(at, "Delete my data and results")
        await held.reached()  # the process ends with a message deleted, and its job there
    held.remove()
    async with at.easel():
        await erased(at)

    await nothing_is_left(at)


@pytest.mark.long
async def test_the_texts_of_managers_name_nobody(at: Stage, key: Pseudonyms) -> None:
    async with at.easel():
        await draw(at)
        async with at.database() as database, database.transaction() as tx:
            for user, subject in ((at.ada, "tier"), (at.ben, f"<@{at.ada.id}>: allowance")):
                values = {"server_id": at.server.id, "user_id": user.id, "subject": subject}
                times = {"created_at": at.clock(), "before": "none", "after": "5 credits"}
                await tx.execute(changes.insert(), {**values, **times})
        await delete(at)
        await erased(at)
    async with at.database() as database, database.reading() as view:
        found = (await view.execute(select(changes.c.user_id, changes.c.subject))).all()

    assert sorted(map(tuple, found)) == [
        (key.of(at.ada.id), "tier"),
        (at.ben.id, "deleted member: allowance"),
    ]
    await nothing_is_left(at)


@pytest.mark.long
async def test_thousands_of_jobs_go_while_others_are_served(at: Stage) -> None:
    number = 3000
    at.audited = False  # the copied jobs have no entries
    async with at.easel():
        await draw(at)
        async with at.database() as database, database.transaction() as tx:
            row = (await tx.execute(select(jobs).limit(1))).mappings().one()
            unique = {"origin_id": None, "result_message_id": None, "secret": None}
            copies = [{**row, **unique, "id": f"{each:016}"} for each in range(number)]
            await tx.execute(jobs.insert(), copies)
        await delete(at)
        seen = list[int]()
        while pending := await deletions(at):
            assert pending[0].total == number + 2
            seen.append(pending[0].erased)
            await drawn(at, f"a badger {len(seen)}", by=at.ben)

    assert len(seen) > 1
    assert seen == sorted(seen)
    assert len(await at.jobs(at.ben)) == len(seen)
    assert str(at.ada.id) not in await everything(at)


@pytest.mark.long
async def test_the_key_is_part_of_no_answer_and_no_log(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async with at.easel():
        await draw(at)
        await delete(at)
        await erased(at)

    assert KEY not in caplog.text
    assert KEY not in await everything(at)


@pytest.mark.long
async def test_another_key_deletes_nothing(at: Stage, caplog: pytest.LogCaptureFixture) -> None:
    async with at.easel():
        await draw(at)
        await delete(at)
        await erased(at)
    async with at.easel(pseudonym_key="quite-another-key-of-the-pseudonyms"):
        await drawn(at, "a zebra", by=at.ada)
        refused = await at.command("mydata delete")

    assert "cannot be deleted now" in text_of(refused)
    assert "is not the key by which members' data was deleted before" in caplog.text
    assert len(await at.jobs()) == 1


@pytest.mark.long
async def test_without_a_key_nothing_is_deleted(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async with at.easel(pseudonym_key=None):
        await draw(at)
        if not at.postgres_url:
            return
        refused = await at.command("mydata delete")

    assert "cannot be deleted now" in text_of(refused)
    assert "PSEUDONYM_KEY is not set" in caplog.text


@pytest.mark.long
async def test_a_deletion_is_journaled_under_the_pseudonym(at: Stage, key: Pseudonyms) -> None:
    async with at.easel():
        await draw(at)
        await delete(at)
        await erased(at)
    names = [path.name for path in (at.folder / "pictures" / ERASED).iterdir()]
    (name,) = [each for each in names if not each.startswith("pictures-")]

    assert f"{-key.of(at.ada.id):016x}" in name
    assert name.startswith(key.fingerprint)


@pytest.mark.long
async def test_an_unknown_outcome_is_erased_when_nobody_searches_any_more(at: Stage) -> None:
    """Its prompt is needed: the generations are searched for by it, and not those of others."""
    at.audited = False  # the outcome is made up
    async with at.easel():
        await drawn(at, "a zebra", by=at.ada)
        await at.settled()
        async with at.database() as database, database.transaction() as tx:
            failed = {"status": JobStatus.FAILED, "reason": Reason.DOUBTFUL}
            await tx.execute(update(jobs).values(failed))
        await delete(at)
        await asyncio.sleep(0.5)  # a turn
        assert [job.request.prompt for job in await at.jobs()] == ["a zebra"]
        at.clock.move(hours=26)
        await erased(at)

    assert "zebra" not in await everything(at)


@pytest.mark.long
async def test_a_deletion_that_fails_stops_no_other(at: Stage) -> None:
    at.audited, at.fails = False, True
    async with at.easel():
        await drawn(at, "a zebra", by=at.ada)
        await drawn(at, "a badger", by=at.ben)
        await at.settled()
        async with at.database() as database, database.transaction() as tx:
            unreadable = update(jobs).where(jobs.c.user_id == at.ada.id)
            await tx.execute(unreadable.values(inputs=[{"unknown": 1}]))
        for member in (at.ada, at.ben):
            await press(at, await ask(at, by=member), "Delete my data", by=member)
        async with asyncio.timeout(20):
            while len(await deletions(at)) > 1:
                await asyncio.sleep(0.05)

    assert [each.user_id for each in await deletions(at)] == [at.ada.id]
    assert await at.jobs(at.ben) == []


@asynccontextmanager
async def backup(at: Stage) -> AsyncIterator[Callable[[], None]]:
    """Copy the database; yield a function that restores the copy, while Easel does not run."""
    if not at.postgres_url:
        saved = at.path.read_bytes()
        yield lambda: restore_file(at.path, saved)
        return
    server, former = cluster.running(), at.postgres_url
    copy = await server.copy(urlsplit(former).path.removeprefix("/"))
    try:
        yield lambda: setattr(at, "postgres_url", copy)
    finally:
        at.postgres_url = former
        await server.drop(copy)


def restore_file(path: Path, saved: bytes) -> None:
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    path.write_bytes(saved)


@pytest.mark.long
async def test_data_that_comes_back_with_a_backup_is_deleted_again(at: Stage) -> None:
    async with at.easel():
        await draw(at)
    async with backup(at) as restore:
        async with at.easel():
            await delete(at)
            await erased(at)
        restore()
        assert "zebra" in await everything(at)
        async with at.easel():
            async with asyncio.timeout(20):
                while "zebra" in await everything(at):
                    await asyncio.sleep(0.05)
            await erased(at)
        await nothing_is_left(at)


@pytest.mark.long
async def test_a_choice_that_comes_back_alone_is_deleted_again(at: Stage) -> None:
    """It is all that is stored about the member; a choice that is made later stays."""
    async with at.easel():
        await at.command("my notify", how="silent")
    async with backup(at) as restore:
        async with at.easel():
            await delete(at)
            await erased(at)
        restore()
        async with at.easel():
            async with asyncio.timeout(20):
                while str(at.ada.id) in await everything(at):
                    await asyncio.sleep(0.05)
            at.clock.move(minutes=1)
            await at.command("my notify", how="silent")
        async with at.easel():
            await asyncio.sleep(0.5)  # the journal is read in the first turn
            assert str(at.ada.id) in await everything(at)


@pytest.mark.long
async def test_a_message_that_cannot_be_deleted_is_left_after_a_day(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The jobs of all other messages are erased at once."""
    monkeypatch.setattr(erasing, "RETRY", timedelta(milliseconds=50))
    async with at.easel():
        result = await draw(at)
        stuck = rf"/api/v10/channels/\d+/messages/{result.id}"
        at.discord.faults.add("DELETE", stuck, Answer(403, b"<html>a proxy</html>"), times=None)
        await delete(at, "Delete my data and results")
        async with asyncio.timeout(20):
            while len(await at.jobs()) > 1:
                await asyncio.sleep(0.05)
        assert [job.request.prompt for job in await at.jobs()] == ["a zebra"]
        at.clock.move(hours=26)
        await erased(at)

    assert not result.deleted
    await nothing_is_left(at)


@pytest.mark.long
async def test_a_second_request_extends_the_first(at: Stage) -> None:
    at.audited = False  # what belongs to no job is erased before the jobs
    async with at.easel():
        await draw(at)
    first = at.clock()
    async with at.database() as database:
        async with database.transaction() as tx:
            begun = await erasure_requests.request(tx, at.ada.id, first, with_results=False)
        later = first + timedelta(hours=1)
        async with database.transaction() as tx:
            again = await erasure_requests.request(tx, at.ada.id, later, with_results=True)
            kept = await erasure_requests.request(tx, at.ada.id, later, with_results=False)
        async with database.transaction() as tx:
            await erasure.end(tx, begun, -5)  # by a process that knows the first request alone

    assert (begun.total, begun.with_results) == (2, False)
    assert again == kept == Erasure(at.ada.id, later, with_results=True, total=2)
    assert await deletions(at) == [again]


@pytest.mark.long
async def test_processes_with_different_keys_delete_nothing(at: Stage, key: Pseudonyms) -> None:
    other = Pseudonyms(SecretStr("the-key-of-another-process-of-these-tests"))
    async with at.database() as database, database.transaction() as tx:
        assert await note_key(tx, key)
        assert await note_key(tx, key)
        assert not await note_key(tx, other)


async def mention_ada(at: Stage) -> None:
    """Store that a manager has changed something for the member."""
    async with at.database() as database, database.transaction() as tx:
        subject = f"member <@{at.ada.id}>: allowance"
        values = {"server_id": at.server.id, "user_id": at.ben.id, "subject": subject}
        times = {"created_at": at.clock(), "before": "none", "after": "5 credits"}
        await tx.execute(changes.insert(), {**values, **times})


@pytest.mark.long
async def test_what_managers_have_set_for_somebody_alone_is_deleted(at: Stage) -> None:
    """The member has never used the bot."""
    async with at.easel():
        assert "Nothing is stored about you" in text_of(await at.command("mydata delete"))
        await mention_ada(at)
        await delete(at)
        await erased(at)
        assert "Nothing is stored about you" in text_of(await at.command("mydata delete"))

    assert str(at.ada.id) not in await everything(at)


@pytest.mark.long
async def test_a_mention_that_comes_back_with_a_backup_is_deleted_again(at: Stage) -> None:
    async with at.easel():
        await mention_ada(at)
    async with backup(at) as restore:
        async with at.easel():
            await delete(at)
            await erased(at)
        restore()
        assert str(at.ada.id) in await everything(at)
        async with at.easel(), asyncio.timeout(20):
            while str(at.ada.id) in await everything(at):
                await asyncio.sleep(0.05)


@pytest.mark.long
async def test_two_processes_store_one_request(at: Stage) -> None:
    """The first has not committed when the second looks."""
    async with at.easel():
        await draw(at)
    async with at.database() as one, at.database() as other:

        async def request(database: Database) -> Erasure:
            async def store(tx: Transaction) -> Erasure:
                found = await erasure_requests.request(
                    tx, at.ada.id, at.clock(), with_results=False
                )
                await asyncio.sleep(0.2)
                return found

            return await database.run(store)

        found = await asyncio.gather(request(one), request(other))

    assert [each.total for each in found] == [2, 2]
    assert len(await deletions(at)) == 1


@pytest.mark.long
async def test_a_deletion_does_not_renew_the_limit_of_input_pictures(at: Stage) -> None:
    since = at.clock() - timedelta(hours=1)
    async with at.easel() as app:
        await draw(at)
        async with app.services.database.reading() as view:
            before = await members.input_bytes_since(view, at.ada.id, since)
        await delete(at)
        await erased(at)
        async with app.services.database.reading() as view:
            after = await members.input_bytes_since(view, at.ada.id, since)

    assert before.total == len(MINE)
    assert after == before


@pytest.mark.long
async def test_a_reason_in_the_ledger_names_nobody(at: Stage) -> None:
    async with at.easel():
        let_manage(at, at.ben)
        reason = f"for <@{at.ada.id}>, who won"
        await at.command("credits grant", by=at.ben, member=at.ada, amount="5", reason=reason)
        await draw(at)
        await delete(at)
        await erased(at)

    text = await everything(at)
    assert "for a member, who won" in text
    assert str(at.ada.id) not in text


@pytest.mark.long
async def test_a_message_that_is_not_deleted_now_holds_no_other_back(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "SLICE", 1)
    async with at.easel():
        result = await draw(at)
        stuck = rf"/api/v10/channels/\d+/messages/{result.id}"
        failing = at.discord.faults.add("DELETE", stuck, Answer(403, b"<html>"), times=None)
        await delete(at, "Delete my data and results")
        async with asyncio.timeout(20):
            while len(await at.jobs()) > 1:
                await asyncio.sleep(0.05)
        failing.remove()
        at.clock.move(minutes=1)
        await erased(at)
    assert result.deleted


@pytest.mark.long
async def test_the_clock_of_the_command_may_be_behind(at: Stage) -> None:
    at.clock.move(minutes=20)
    async with at.easel():
        await draw(at)
        await at.settled(2)
        url = at.postgres_url or f"sqlite:///{at.path}"
        settings = Settings.load(
            None,
            {
                "DISCORD_TOKEN": "x",
                "OXEN_API_KEY": "y",
                "DATABASE_URL": url,
                "PICTURES_URL": (at.folder / "pictures").as_uri(),
                "PSEUDONYM_KEY": KEY,
            },
        )
        said = await request_deletion(settings, at.ada.id, with_results=False)
        await erased(at)

    assert "2 jobs" in said
    assert "zebra" not in await everything(at)
