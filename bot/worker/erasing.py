"""Deletes the data of members who have requested that, in slices, while others are served.

Each deletion is written down in the store of pictures before anything is erased: with a database
that is restored from an older backup, the next start deletes the same data again.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from bot.delivery import NotDelivered
from bot.errors import NotNow
from bot.jobs import Job
from bot.observability.logs import hide
from bot.pseudonym_key import note_key
from bot.pseudonyms import Journaled, Pseudonyms
from bot.services import Services
from bot.store import erasure as rows
from bot.store.coordination import Duty
from bot.store.erasure import Erasure, Slice

log = logging.getLogger(__name__)

SLICE = 25  # jobs that are erased in one transaction
WAIT = 2.0  # seconds until the next look at the rows
RETRY = timedelta(seconds=30)  # after a failure of Discord, the pictures, or the database
OTHER_KEY = "PSEUDONYM_KEY is not the same for all processes"
REMOVALS = 4  # messages that are deleted at once


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
            await self._replay(pseudonyms)
            self._has_replayed = True
        async with self._database.reading() as view:
            found = await rows.pending(view)
        now = self._now()
        due = [each for each in found if self._paused.get(each.user_id, now) <= now]
        progress = [await self._guarded(each, pseudonyms) for each in due]
        return 0.0 if any(progress) else WAIT

    async def _guarded(self, erasure: Erasure, pseudonyms: Pseudonyms) -> bool:
        """Make a step for one member; others go on, whatever error it raises."""
        try:
            # A task of its own, whose context forgets the texts that no log may hold.
            if await asyncio.create_task(self._step(erasure, pseudonyms), name="deletion"):
                return True
        except NotNow:  # the database, or the store, has logged the cause
            self._paused[erasure.user_id] = self._now() + RETRY
        except Exception:
            log.exception("deletion of a member's data failed, retrying")
            self._paused[erasure.user_id] = self._now() + RETRY
        return False

    async def _replay(self, pseudonyms: Pseudonyms) -> None:
        """Request again each deletion whose data has come back with a restored backup."""
        journaled: dict[int, datetime] = {}
        for name in await self._pictures.erasures():
            entry = Journaled.parse(name)
            if entry is None or entry.fingerprint != pseudonyms.fingerprint:
                continue
            known = journaled.get(entry.pseudonym, entry.requested_at)
            journaled[entry.pseudonym] = max(known, entry.requested_at)
        if not journaled:
            return
        async with self._database.reading() as view:
            members = await rows.members(view)
            by_pseudonym = await asyncio.to_thread(_by_pseudonym, pseudonyms, members)
            back = [
                Erasure(by_pseudonym[each], moment, with_results=False)
                for each, moment in journaled.items()
                if each in by_pseudonym and await rows.has_data(view, by_pseudonym[each], moment)
            ]
        for each in back:
            async with self._database.transaction() as tx:
                await rows.request(tx, each.user_id, each.requested_at, with_results=False)
        if back:
            log.warning("%s deletions made again: their data has come back", len(back))

    async def _step(self, erasure: Erasure, pseudonyms: Pseudonyms) -> bool:
        """Erase the next slice of a member; return whether anything was erased."""
        pseudonym = pseudonyms.of(erasure.user_id)
        if not await self._journal(erasure, pseudonyms):
            return False
        await self._precedence.give_way()
        async with self._database.reading() as view:
            chosen = await rows.next_slice(view, erasure, self._now(), SLICE)
            left = 0 if chosen.jobs else await rows.left(view, erasure)
        if left:
            return False  # they are under way, and end first
        if not chosen.jobs:
            async with self._database.transaction() as tx:
                await rows.end(tx, erasure, pseudonym)
            await self._database.scrub()
            log.info("data of a member deleted: %s", pseudonym)
            return True
        if await self._erase(erasure, pseudonym, chosen):
            return True
        self._paused[erasure.user_id] = self._now() + RETRY
        return False

    async def _erase(self, erasure: Erasure, pseudonym: int, chosen: Slice) -> bool:
        """Erase a slice, what is outside the database first, so that a kill forgets nothing.

        Return false if Discord, or the store of pictures, cannot remove something now.
        """
        for job in chosen.jobs:
            hide(*job.texts)
        if erasure.with_results and not await self._remove_results(chosen.jobs):
            return False
        async with self._database.reading() as view:  # a message takes a moment
            chosen = await rows.slice_of(view, erasure, chosen.jobs)
        if not await self._retention.erase(chosen.unused):
            return False
        async with self._database.transaction() as tx:
            await rows.erase(tx, erasure, pseudonym, chosen, self._now())
        return True

    async def _remove_results(self, jobs: Sequence[Job]) -> bool:
        """Delete the messages of the jobs; return false if Discord does not answer now."""
        turns = asyncio.Semaphore(REMOVALS)

        async def remove(job: Job) -> bool:
            async with turns:
                try:
                    await self._delivery.remove(job)
                except NotDelivered as error:
                    log.warning("result not removed, retrying: %s", error)
                    return False
            return True

        return all(await asyncio.gather(*(remove(each) for each in jobs)))

    async def _journal(self, erasure: Erasure, pseudonyms: Pseudonyms) -> bool:
        """Write the deletion down; return false if another key was used before."""
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


def _by_pseudonym(pseudonyms: Pseudonyms, members: list[int]) -> dict[int, int]:
    return {pseudonyms.of(each): each for each in members}
