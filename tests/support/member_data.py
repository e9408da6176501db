"""Two members with rows in every table that knows members, and their exports, unpacked."""

import asyncio
import io
import json
import zipfile
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from bot.jobs import Attachment, Job, JobStatus, Notify, Picture
from bot.ledger import Cost
from bot.pictures import PictureStore
from bot.rights import Allowance, Rights, Subject
from bot.store import (
    changes,
    favourites,
    generations,
    jobs,
    pictures,
    preferences,
    servers,
    settlement,
)
from bot.store.changes import Change
from bot.store.database import Database
from bot.store.exporting import MemberRows
from bot.store.pictures import Role
from bot.store.tables import erasures, warnings
from bot.store.tables import jobs as job_table
from bot.studio.export.collect import Bounds, Export, Part
from tests.support.files import picture
from tests.support.rows import NOW, add, new_job

ADA, BEN = 1_111_111_111_111_111_111, 2_222_222_222_222_222_222
SERVER = 3_333_333_333_333_333_333
MIB = 1024 * 1024
MINUTE = timedelta(minutes=1)
README = "README.txt"


@dataclass(frozen=True)
class TwoMembers:
    """The jobs and the pictures of both, for what an export has and has not."""

    first: Job  # Ada's, made from the attached picture
    second: Job  # Ada's, made from Ben's result
    other: Job  # Ben's
    attached: Picture
    drawn: Picture
    changed: Picture
    of_ben: Picture


async def store_two(database: Database, store: PictureStore) -> TwoMembers:
    attached, drawn, changed, of_ben = [await store.store(picture()) for _ in range(4)]
    cat = Attachment("cat.png", "https://cdn.discordapp.com/cat.png?sign", attached.size, 48, 32)
    first = await stored_job(
        database, ADA, "=a fox of Ada", [drawn], [attached], inputs=(cat,), at=NOW
    )
    other = await stored_job(database, BEN, "the owl of Ben", [of_ben], at=NOW + MINUTE)
    chosen = replace(cat, name="owl.png", sha256=of_ben.sha256)
    second = await stored_job(
        database,
        *(ADA, "Ada adds snow", [changed], [of_ben]),
        inputs=(chosen,),
        source_job_id=other.id,
        at=NOW + 2 * MINUTE,
    )
    async with database.transaction() as tx:
        for user_id, moderator, job in ((ADA, BEN, first), (BEN, ADA, other)):
            await favourites.add(tx, user_id, other.id, NOW)
            await preferences.choose_notify(tx, user_id, Notify.SILENT, NOW)
            allowance = Allowance(amount=user_id // 10**18 * 1500)
            rights = Rights(allowance=allowance)
            await servers.store_rights(tx, SERVER, Subject.MEMBER, str(user_id), rights)
            subject = f"member <@{user_id}>: allowance"
            await changes.append(tx, Change(SERVER, moderator, NOW, subject, "not set", "1.5"))
            for scope in (f"member:{SERVER}:{user_id}", f"month:{user_id}"):
                await tx.execute(warnings.insert().values(scope=scope, begins_at=NOW))
            await tx.execute(
                erasures.insert().values(
                    user_id=user_id, requested_at=NOW, with_results=True, total=2, erased=1
                )
            )
            canceled = {"canceled_by": moderator, "cancel_requested_at": NOW}
            await tx.execute(job_table.update().where(job_table.c.id == job.id).values(**canceled))
    return TwoMembers(first, second, other, attached, drawn, changed, of_ben)


async def stored_job(
    database: Database,
    user_id: int,
    prompt: str,
    outputs: Sequence[Picture],
    given: Sequence[Picture] = (),
    *,
    at: datetime = NOW,
    **columns: Any,  # noqa: ANN401  # of a new job
) -> Job:
    """Store a job that has succeeded."""
    new = new_job(user_id, prompt=prompt, at=at, server_id=SERVER, seed=7)
    async with database.transaction() as tx:
        job = await add(tx, replace(new, **columns))
        if given:
            await pictures.attach(tx, job.id, Role.INPUT, given, at)
        await jobs.move(tx, job.id, JobStatus.SUBMITTING, submitted_at=at)
        running = await jobs.start_running(tx, job.id, at)
        (made,) = await generations.add(tx, job.id, "oxen", [f"remote-{job.id}"])
        await settlement.succeed(
            tx,
            running,
            at + MINUTE,
            cost=Cost(7_750, {"usd": "0.0775"}),
            pictures=outputs,
            ends={made.id: JobStatus.SUCCEEDED},
            expanded_prompt=f"{prompt}, drawn longer",
        )
    return job


@dataclass(frozen=True)
class Written:
    """The ZIP files of an export, and what was said about each."""

    parts: list[Part]
    zips: list[bytes]

    @property
    def files(self) -> dict[str, bytes]:
        return unpacked(self.zips)

    def lines(self, table: str) -> list[dict[str, Any]]:
        """Return the records of a table, in order."""
        return lines(self.files, table)


async def written(
    database: Database,
    store: PictureStore,
    user_id: int = ADA,
    *,
    limit: int = 10 * MIB,
    most: int | None = None,
) -> Written:
    """Return the export of a member; no temporary file is left."""
    rows, bounds = MemberRows(database, user_id), Bounds(limit, most)
    export = Export(rows, store, bounds, NOW, store.arriving)
    found = Written([], [])
    async with aclosing(export.parts()) as parts:
        async for part in parts:
            data = await asyncio.to_thread(part.path.read_bytes)
            assert len(data) == part.size <= limit
            assert part.number == len(found.parts) + 1
            assert part.name == f"easel-data-2026-11-21-{part.number}.zip"
            found.parts.append(part)
            found.zips.append(data)
    assert [part.is_last for part in found.parts] == [False] * (len(found.parts) - 1) + [True]
    assert not list(store.disk.glob("*.part"))
    return found


def unpacked(zips: Iterable[bytes]) -> dict[str, bytes]:
    """Return the files of several ZIP files, each of which is whole; only README.txt is in all."""
    found: dict[str, bytes] = {}
    for data in zips:
        with zipfile.ZipFile(io.BytesIO(data)) as opened:
            assert opened.testzip() is None
            names = opened.namelist()
            assert names[0] == README
            assert len(names) > 1
            assert not {*names[1:]} & {*found}
            found |= {name: opened.read(name) for name in names}
    return found


def lines(files: dict[str, bytes], table: str) -> list[dict[str, Any]]:
    """Return the records of a table, which may be divided, in order."""
    numbered = [f"{table}.jsonl", *(f"{table}-{number}.jsonl" for number in range(1, 1000))]
    texts = [files[name] for name in numbered if name in files]
    return [json.loads(line) for text in texts for line in text.splitlines()]  # at \n alone
