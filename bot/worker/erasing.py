"""The deletion of the data of members who have requested that, in slices, beside all other work.

Each deletion is journaled in the store of pictures before anything is erased: with a database that
is restored from an older backup, the next start deletes the same data again.
"""

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from bot.delivery import NotDelivered
from bot.errors import NotNow
from bot.jobs import Job
from bot.observability.logs import hide
from bot.pictures import removal_note, removed_in
from bot.pseudonym_key import CHANGED, note_key
from bot.pseudonyms import Journaled, Pseudonyms
from bot.services import Services
from bot.store import erasure as rows
from bot.store import erasure_requests as requests
from bot.store import inputs_of_others
from bot.store import pictures as picture_rows
from bot.store.coordination import Duty
from bot.store.erasure import ENDED_FOR, Slice
from bot.store.erasure_requests import Erasure

log = logging.getLogger(__name__)

SLICE = 25  # jobs that are erased in one transaction
WAIT = 2.0  # seconds until the next look at the rows
RETRY = timedelta(seconds=30)  # after a failure of Discord, the pictures, or the database
KEY = "The key of pseudonyms"
OTHER_KEY = "PSEUDONYM_KEY is not the same for all processes"
REMOVALS = 4  # messages that are deleted at once
MOST_STUCK = 500  # jobs that a slice leaves out; with more, their members wait


class Eraser:
    def __init__(self, services: Services) -> None:
        self._database = services.database
        self._coordination = services.coordination
        self._delivery = services.delivery
        self._pictures = services.pictures
        self._retention = services.retention
        self._precedence = services.precedence
        self._now = services.now
        self._has_replayed = False
        self._journaled: set[tuple[int, datetime]] = set()
        self._paused: dict[int, datetime] = {}  # members whose deletion waits, until when
        self._stuck: dict[str, datetime] = {}  # jobs whose messages are not deleted now, likewise

    async def run(self) -> None:
        """Delete until cancelled, while this process has the duty of retention."""
        while True:
            wait = WAIT
            if self._coordination.has(Duty.RETENTION) and self._database.pseudonyms is not None:
                try:
                    wait = await self._turn(self._database.pseudonyms)
                except NotNow:  # the database, or the store, has logged the cause
                    wait = RETRY.total_seconds()
                except Exception:
                    log.exception("deletion of a member's data failed, retrying")
                    wait = RETRY.total_seconds()
            await asyncio.sleep(wait)

    async def _turn(self, pseudonyms: Pseudonyms) -> float:
        """Erase one slice of each member, and return the seconds until the next turn."""
        if not self._has_replayed:
            if not await self._replay(pseudonyms):
                return WAIT
            self._has_replayed = True
        async with self._database.reading() as view:
            found = await requests.pending(view)
        now = self._now()
        due = [each for each in found if self._paused.get(each.user_id, now) <= now]
        progress = [await self._guarded(each, pseudonyms) for each in due]
        return 0.0 if any(progress) else WAIT

    async def _guarded(self, erasure: Erasure, pseudonyms: Pseudonyms) -> bool:
        """Make a step for one member; others go on, whatever error it raises."""
        try:
            # A task of its own, whose context forgets the texts that no log may hold.
            return await asyncio.create_task(self._step(erasure, pseudonyms), name="deletion")
        except NotNow:  # the database, or the store, has logged the cause
            self._paused[erasure.user_id] = self._now() + RETRY
        except Exception:
            log.exception("deletion of a member's data failed, retrying")
            self._paused[erasure.user_id] = self._now() + RETRY
        return False

    async def _replay(self, pseudonyms: Pseudonyms) -> bool:
        """Request again each deletion whose data has come back with a restored backup.

        Return false if data was deleted by another key, which a start cannot see while the store of
        pictures is away.
        """
        notes = await self._pictures.erasures()
        journal = [each for each in map(Journaled.parse, notes) if each is not None]
        if any(each.fingerprint != pseudonyms.fingerprint for each in journal):
            log.error("members cannot delete their data: %s", CHANGED.format(where=KEY))
            self._database.use_pseudonyms(None)
            return False
        await self._remove_again(removed_in(notes))
        journaled = _newest(journal)
        if not journaled:
            return True
        await self._database.scrub()  # the last process may have been killed before
        async with self._database.reading() as view:
            members = await requests.members(view)
            found = await asyncio.to_thread(_deleted_before, members, journaled, pseudonyms)
            back = {
                user_id: moment
                for user_id, moment in found.items()
                if await requests.has_data(view, user_id, moment)
            }
        for user_id, moment in back.items():
            async with self._database.transaction() as tx:
                await requests.request(tx, user_id, moment, with_results=False)
        if back:
            log.warning("%s deletions made again: their data has come back", len(back))
        return True

    async def _remove_again(self, removed: Collection[str]) -> None:
        """Remove pictures that have come back with a backup, and belong to no job."""
        if removed:
            stored = {each.sha256 for each in await self._pictures.files()}.intersection(removed)
            async with self._database.reading() as view:
                known = await picture_rows.uses(view, stored)
            await self._retention.erase(stored - known.keys())

    async def _step(self, erasure: Erasure, pseudonyms: Pseudonyms) -> bool:
        """Erase the next slice of a member; return whether anything was erased."""
        pseudonym = pseudonyms.of(erasure.user_id)
        if not await self._journal(erasure, pseudonyms):
            return False
        await self._precedence.give_way()
        async with self._database.reading() as view:
            chosen = await rows.next_slice(view, erasure, self._now(), SLICE, self._stuck_now())
            left = await requests.is_left(view, erasure)
            unstored = {} if left else await inputs_of_others.never_stored(view, erasure)
        if left and not chosen:
            return False  # what is under way ends first
        if not left:
            async with self._database.transaction() as tx:
                await inputs_of_others.replace(tx, unstored)
                await rows.end(tx, erasure, pseudonym)
            await self._database.scrub()
            log.info("data of a member deleted: %s", pseudonym)
            return True
        if await self._erase(erasure, pseudonym, chosen) and len(self._stuck) < MOST_STUCK:
            return True
        self._paused[erasure.user_id] = self._now() + RETRY
        return False

    def _stuck_now(self) -> Collection[str]:
        now = self._now()
        self._stuck = {job_id: until for job_id, until in self._stuck.items() if until > now}
        return self._stuck.keys()

    async def _erase(self, erasure: Erasure, pseudonym: int, chosen: Slice) -> bool:
        """Erase a slice, what is outside the database first, so that a kill forgets nothing.

        Return false if the store of pictures cannot remove something now. Jobs with a message that
        Discord does not delete now are left for a time, and others go on.
        """
        for job in chosen.jobs:
            hide(*job.texts)
        jobs = chosen.jobs
        if erasure.with_results:
            jobs = await self._without_results(erasure, jobs)
        if not jobs and not chosen.taken:
            return True
        async with self._database.reading() as view:  # a message takes a moment
            ready = await rows.slice_of(view, erasure, jobs, chosen.taken)
        if ready.unused:
            await self._pictures.note_erasure(*removal_note(ready.unused))
        if not await self._retention.erase(ready.unused):
            return False
        async with self._database.transaction() as tx:
            await rows.erase(tx, erasure, pseudonym, ready, self._now())
        return True

    async def _without_results(self, erasure: Erasure, jobs: Sequence[Job]) -> list[Job]:
        """Delete the messages of jobs; return the jobs of which none is left.

        A day after the request, a message that Discord does not delete is left.
        """
        turns = asyncio.Semaphore(REMOVALS)
        is_overdue = self._now() - erasure.requested_at > ENDED_FOR

        async def remove(job: Job) -> bool:
            async with turns:
                try:
                    await self._delivery.remove(job)
                except NotDelivered as error:
                    log.warning("result not removed: %s", error)
                    if not is_overdue:
                        self._stuck[job.id] = self._now() + RETRY
                    return is_overdue
            return True

        removed = await asyncio.gather(*(remove(each) for each in jobs))
        return [job for job, gone in zip(jobs, removed, strict=True) if gone]

    async def _journal(self, erasure: Erasure, pseudonyms: Pseudonyms) -> bool:
        """Journal the deletion; return false if data was deleted by another key before."""
        key = (erasure.user_id, erasure.requested_at)
        if key in self._journaled:
            return True
        async with self._database.transaction() as tx:
            if not await note_key(tx, pseudonyms):
                log.error("members cannot delete their data: %s", OTHER_KEY)
                self._paused[erasure.user_id] = self._now() + RETRY
                return False
        # Stored times have microseconds, the names milliseconds: nothing may stay in between.
        moment = erasure.requested_at + timedelta(milliseconds=1)
        pseudonym = pseudonyms.of(erasure.user_id)
        await self._pictures.note_erasure(
            str(Journaled(pseudonyms.fingerprint, pseudonym, moment.astimezone(UTC)))
        )
        self._journaled.add(key)
        return True


def _deleted_before(
    members: Collection[int], journaled: Mapping[int, datetime], pseudonyms: Pseudonyms
) -> dict[int, datetime]:
    """Return the members whose data was deleted, each with the time of the request."""
    hidden = {user_id: pseudonyms.of(user_id) for user_id in members}
    return {user_id: journaled[each] for user_id, each in hidden.items() if each in journaled}


def _newest(journal: Iterable[Journaled]) -> dict[int, datetime]:
    """Return the time of the newest deletion of each pseudonym."""
    found: dict[int, datetime] = {}
    for each in journal:
        known = found.get(each.pseudonym, each.requested_at)
        found[each.pseudonym] = max(known, each.requested_at)
    return found
