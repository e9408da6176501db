"""Attacks by work that has no bound: holds, decoding, memory, disk and rows.

Each function attacks a bot that runs, and returns the figures. `small` is the shorter form.
"""

import asyncio
import time

from bot.sandbox.discord import Interaction, Upload
from bot.sandbox.discord.interactions import State
from bot.sandbox.http.faults import Answer
from bot.store import members
from bot.store.sqlite import SQLiteDatabase
from tests.benchmarks import hostile_files as files
from tests.benchmarks.hostile_ground import Ground, accepted, at_once, job_of
from tests.benchmarks.hostile_meters import Outcome

RESULT = r"/api/repos/.+"
PNG = {"Content-Type": "image/png"}
WATCHED_SECONDS = 10.0  # after a restart
SHOWN_SECONDS = 120.0
STILL_SECONDS = 4.0  # without a change: the attack is over
STOP_BOUND = 10.0
BEGUN_SECONDS = 2.0  # until a decoding has certainly begun


async def budget(at: Ground, *, small: bool) -> list[Outcome]:
    """Hold all of BUDGET_MONTHLY, cancel everything, and again."""
    await at.start()
    quiet = await at.quiet("oxen")
    times, held = [], []
    for _ in range(1 if small else 3):
        attacks = await at_once(at.attack(model="oxen") for _ in range(20))
        held.append(accepted(attacks))
        times.append(await at.draw("oxen", patience=0))
        await at.cancel(attacks)
        await asyncio.sleep(1)
    return [at.outcome("budget held", quiet, max(times), note=", ".join(held))]


async def scans(at: Ground, *, small: bool) -> list[Outcome]:
    """Attach a JPEG whose decoding takes a minute; stop and restart the bot meanwhile."""
    bomb = files.jpeg_of_scans(1_000 if small else 18_000)
    note = f"{len(bomb) / 1024:.0f} KiB"
    await at.start()
    quiet = await at.quiet("oxen", edit=True)
    quiet_stop = await at.stop()
    await at.start()
    await at.attack(files=[bomb])
    await asyncio.sleep(BEGUN_SECONDS / 2)
    outcomes = [at.outcome("scans", quiet, await at.draw("oxen", edit=True), note=note)]
    await at.kill()

    await at.start()
    at.meter.reset()
    await at.attack(files=[bomb])
    await asyncio.sleep(BEGUN_SECONDS)
    outcomes.append(at.outcome("scans, SIGTERM", quiet_stop, await at.stop(), longest=STOP_BOUND))

    await at.start()
    attacked = await at.draw("oxen", edit=True)
    return [*outcomes, at.outcome("scans, restart", quiet, attacked)]


async def pixels(at: Ground, *, small: bool) -> list[Outcome]:
    """Attach many small files of 40 megapixels: as WebP, and as JPEG with 95 scans."""
    await at.start()
    quiet = await at.quiet("oxen", edit=True)
    outcomes = []
    for kind, bomb, number in (
        ("WebP", files.webp_of_pixels(), 20),
        ("JPEG", files.jpeg_of_scans(89, side=6300), 10),
    ):
        at.meter.reset()
        attacks = await at_once(at.attack(files=[bomb]) for _ in range(2 if small else number))
        note = f"{accepted(attacks)}, {len(bomb) / 1024:.1f} KiB each"
        attacked = await at.draw("oxen", edit=True)
        await at.cancel(attacks)
        outcomes.append(at.outcome(f"pixels, {kind}", quiet, attacked, note=note))
    return outcomes


async def segments(at: Ground, *, small: bool) -> list[Outcome]:
    """Attach files of 10 MiB that consist of empty parts, which Python code may read one by one."""
    jpeg = files.jpeg_of_segments(260_000 if small else 2_600_000)
    png = files.png_of_chunks(87_000 if small else 870_000)
    await at.start()
    quiet = await at.quiet("oxen", edit=True)
    attacks = await at_once(at.attack(files=[each]) for each in (jpeg, png))
    attacked = await at.draw("oxen", edit=True)
    return [at.outcome("empty segments", quiet, attacked, note=accepted(attacks))]


async def queued(at: Ground, *, small: bool) -> list[Outcome]:
    """Attach 10 MiB to each of many requests, also before a restart.

    Several members, because each has a limit of bytes a day.
    """
    jpeg = files.large_jpeg()
    await at.start()
    quiet = await at.quiet("oxen", edit=True)
    note = await _attach(at, jpeg, 2 if small else 20)
    attacked = await at.draw("oxen", edit=True)
    outcomes = [at.outcome("queued edits", quiet, attacked, note=note)]
    await at.kill()

    await at.start()
    note = await _attach(at, jpeg, 2 if small else 20)
    await at.kill()
    at.meter.reset()
    await at.start()
    began = time.monotonic()
    attacked = await at.draw("oxen", edit=True)
    await asyncio.sleep(max(0.0, began + WATCHED_SECONDS - time.monotonic()))
    return [*outcomes, at.outcome("queued edits, restart", quiet, attacked, note=note)]


async def _attach(at: Ground, jpeg: bytes, number: int) -> str:
    members = [at.discord.add_user(f"Attacker {each}") for each in range(4)]
    attacks = await at_once(
        at.attack(files=[files.commented(jpeg, each % 8)], by=member)
        for member in members
        for each in range(number)
    )
    return accepted(attacks)


async def storage(at: Ground, *, small: bool) -> list[Outcome]:
    """Attach four pictures of 10 MB, cancel at once, and again."""
    await at.start()
    quiet = await at.quiet("oxen", edit=True)
    taken = 0
    number = 2 if small else 12

    async def again(times: int) -> None:
        nonlocal taken
        for _ in range(times):
            pictures = [await asyncio.to_thread(files.large_png) for _ in range(4)]
            attack = await at.attack(files=pictures, model="skills")
            taken += attack is not None and job_of(attack) is not None
            await at.cancel([attack])

    await again(number // 2)
    attacked, _ = await asyncio.gather(at.draw("oxen", edit=True), again(number - number // 2))
    before = -1.0
    while before < at.meter.disk:
        before = at.meter.disk
        await asyncio.sleep(STILL_SECONDS)
    note = f"{taken} of {number} requests accepted"
    return [at.outcome("stored inputs", quiet, attacked, note=note)]


async def show(at: Ground, *, small: bool) -> list[Outcome]:
    """Ask for the same large pictures many times at once."""
    await at.start()
    quiet = await at.quiet("oxen")
    for _ in range(4):
        large = await asyncio.to_thread(files.large_png, 2048, 2048)
        at.oxen.faults.add("GET", RESULT, Answer(200, large, PNG))
    await at.draw("oxen", by=at.ada, count=4)
    async with SQLiteDatabase(at.database) as database, database.reading() as view:
        [job] = await members.recent_of(view, at.ada.id, 1)
    at.meter.reset()
    shown = [
        await at.discord.command(at.ada, at.art, "show", {"job": job.id})
        for _ in range(4 if small else 40)
    ]
    attacked = await at.draw("oxen")
    await at.discord.world.changes.until(
        lambda: all(finished(each) for each in shown) or None,
        SHOWN_SECONDS,
        "some /show have no end",
    )
    pictures = sum(bool(each.message and each.message.pictures()) for each in shown)
    note = f"{pictures} of {len(shown)} with pictures in the end"
    return [at.outcome("/show", quiet, attacked, note=note)]


def finished(interaction: Interaction) -> bool:
    """Return whether the member has a final answer, or none in time."""
    late = interaction.state is State.PENDING and interaction.overdue
    return late or interaction.state is State.ANSWERED


async def forms(at: Ground, *, small: bool) -> list[Outcome]:
    """Open the form of the message menu many times, and submit none."""
    number = 50 if small else 500
    await at.start()
    quiet = await at.quiet("oxen")
    message = await at.discord.say(at.ada, at.art, "two", [Upload("a.png", at.small)] * 2)

    async def open_forms(times: int) -> None:
        for _ in range(times):
            await (await at.discord.menu(at.ada, at.art, "Edit image", message)).answered()

    await open_forms(number // 5)  # warm up
    before = at.memory()
    await open_forms(number)
    each = (at.memory() - before) * 1000 / number
    attacked = await at.draw("oxen")
    return [at.outcome("forms", quiet, attacked, note=f"{each:.1f} kB for each of {number}")]
