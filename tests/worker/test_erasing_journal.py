"""The journal of the deletions: what comes back with a backup, and keys that differ."""

import logging
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path

import pytest

from bot.pseudonym_key import NOTE
from bot.pseudonyms import Journaled
from bot.store.database import write_note
from bot.worker import erasing
from bot.worker.erasing import RETRY, WAIT, Eraser
from tests.support.erasing import ADA, BEN, MICROSECOND, failed, left, pending, request, turns
from tests.support.outcomes import Outcomes
from tests.support.parts import Served
from tests.support.pseudonyms import KEY
from tests.support.rows import NOW

MOMENT = timedelta(milliseconds=1)


@pytest.fixture(autouse=True)
def every_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "bot.worker.erasing")


@pytest.fixture
def eraser(made: Served, discord: Outcomes) -> Eraser:
    made.database.use_pseudonyms(KEY)
    return Eraser(replace(made.services, delivery=discord))


async def test_another_key_of_other_processes_stops_a_deletion(
    made: Served, eraser: Eraser, caplog: pytest.LogCaptureFixture
) -> None:
    found = await failed(made, 1)
    made.clock.now += MOMENT
    await request(made)
    async with made.database.transaction() as tx:
        await write_note(tx, NOTE, "another key")
    assert await turns(eraser, 2) == [WAIT, WAIT]
    expected = "members cannot delete their data: PSEUDONYM_KEY is not the same for all processes"
    assert caplog.messages == [expected]
    made.clock.now += RETRY
    assert await turns(eraser, 1) == [WAIT]

    assert caplog.messages == [expected] * 2
    assert await left(made, found) != []
    assert await made.services.pictures.erasures() == {}


async def test_what_is_as_old_as_a_deletion_goes_again_and_newer_data_stays(
    made: Served, eraser: Eraser, discord: Outcomes, caplog: pytest.LogCaptureFixture
) -> None:
    """The journal has milliseconds, the rows have microseconds."""
    made.clock.now = NOW + 999 * MICROSECOND
    await failed(made, 1)
    await request(made)
    assert await turns(eraser, 3) == [0.0, 0.0, WAIT]
    (back,) = await failed(made, 1, at=made.clock.now)
    (new,) = await failed(made, 1, at=NOW + 1001 * MICROSECOND)
    (of_ben,) = await failed(made, 1, of=BEN)
    made.clock.now += timedelta(hours=1)
    again = Eraser(replace(made.services, delivery=discord))
    assert (await turns(again, 3))[:2] == [0.0, 0.0]

    assert await left(made, [back, new, of_ben]) == [new.id, of_ben.id]
    assert caplog.messages.count("1 deletions made again: their data has come back") == 1
    assert discord.removed == []
    assert await pending(made) == []


@pytest.mark.parametrize("newest_first", [True, False])
async def test_of_several_deletions_the_newest_counts(
    made: Served, eraser: Eraser, newest_first: bool
) -> None:
    hour = timedelta(hours=1)
    journal = [
        Journaled(KEY.fingerprint, KEY.of(ADA), moment.astimezone(UTC))
        for moment in (NOW, NOW + 2 * hour)
    ]

    found = erasing._newest(reversed(journal) if newest_first else journal)
    assert found == {KEY.of(ADA): NOW + 2 * hour}
    for each in journal:
        await made.services.pictures.note_erasure(str(each))
    (job,) = await failed(made, 1, at=NOW + hour)
    await turns(eraser, 2)
    assert await left(made, [job]) == []


async def test_the_journal_is_read_once(made: Served, eraser: Eraser) -> None:
    assert await turns(eraser, 1) == [WAIT]
    await made.services.pictures.note_erasure(
        str(Journaled(KEY.fingerprint, KEY.of(ADA), NOW + timedelta(hours=1)))
    )
    (job,) = await failed(made, 1)
    assert await turns(eraser, 2) == [WAIT, WAIT]

    assert await left(made, [job]) == [job.id]


async def test_pages_that_a_kill_has_left_are_removed_by_the_next_run(
    made: Served, eraser: Eraser, tmp_path: Path
) -> None:
    await failed(made, 1, of=BEN)
    log = tmp_path / "easel.db-wal"
    assert log.stat().st_size > 0
    await made.services.pictures.note_erasure(str(Journaled(KEY.fingerprint, KEY.of(ADA), NOW)))
    await turns(eraser, 1)

    assert log.stat().st_size == 0


async def test_another_key_in_the_journal_ends_the_search_for_members(
    made: Served, eraser: Eraser, caplog: pytest.LogCaptureFixture
) -> None:
    await made.services.pictures.note_erasure(str(Journaled(16 * "0", -5, NOW)))
    found = await failed(made, 1)
    await request(made)

    assert await turns(eraser, 1) == [WAIT]
    assert made.database.pseudonyms is None
    assert "The key of pseudonyms is not the key by which members' data was" in caplog.text
    assert await left(made, found) != []
