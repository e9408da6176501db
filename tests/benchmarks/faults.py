"""Check that faults lose and double nothing: `python -m tests.benchmarks.faults`.

A fifth of all answers of Discord and of both image APIs is faulty: an error with or without an
effect, truncated, delayed, or missing. From time to time, a destination at Discord refuses messages
for a while, Discord's lists of messages fail, or an API refuses connections. Many members send
requests at the same time, and some cancel; in the end every request is checked by
tests/harness/verdict.py.
"""

import argparse
import asyncio
import contextlib
import random
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bot.sandbox.http.faults import (
    Answer,
    AnswerAfter,
    Chooser,
    Fault,
    Reset,
    ResetAfter,
    Stall,
    Truncate,
)
from tests.benchmarks.crash import end, of_verdict, print_log, print_verdict
from tests.benchmarks.figures import Figure
from tests.harness.crash import Arena, Requested, arena
from tests.harness.evidence import jobs_named
from tests.harness.verdict import Verdict, judge

SHARE = 0.2
MEMBERS = 40
AT_A_TIME = 20
CANCELING = 0.1  # share of the requests
CANCEL_SECONDS = 2.0  # at most, after the reply
REQUEST_SECONDS = 90.0  # for one request; the rest is waited for in the end
STALL_SECONDS = 2.5
LONG_SIDE = 256  # in pixels; some pictures are large enough to be shrunk
HTML = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
HTML_TYPE = {"Content-Type": "text/html"}
NOT_JSON = r"/gateway/?|/api/events"  # streams, which end often enough without a fault
POLLS = r"/api/ai/queue/[^/]+|/api/v1/generation/gen_[^/]+"
API_ERROR = {"error": {"message": "Service temporarily unavailable"}}
# Only Discord's own answers have this body, not a proxy's: discord.py distinguishes them by that.
DISCORD_429 = {"message": "You are being rate limited.", "retry_after": 0.5, "global": False}

# A definite refusal lasts, so that no refusal directly follows a request that took effect: a
# channel refuses for a while, an interaction or a reply is gone for good.
REFUSED_SHARE = 0.03  # share of the requests that show a message, part of SHARE
REFUSED_SECONDS = 10.0
CHANNEL = r"/api/v10/channels/\d+/messages"
CALLBACK = r"/api/v10/interactions/\d+/[^/]+/callback"
FOLLOW_UP = r"/api/v10/webhooks/\d+/[^/]+"
ORIGINAL = rf"{FOLLOW_UP}/messages/@original"
OPEN_DM = r"/api/v10/users/@me/channels"
ANSWER = r"/api/v10/webhooks/\d+/[^/]+/messages/\d+"
SHOWING = {"POST": f"{CHANNEL}|{CALLBACK}|{FOLLOW_UP}", "PATCH": ANSWER}
FORBIDDEN = Answer(403, {"code": 50013, "message": "Missing Permissions"})
TOO_LARGE = Answer(413, {"code": 40005, "message": "Request entity too large"})
UNKNOWN = {
    CHANNEL: Answer(404, {"code": 10003, "message": "Unknown Channel"}),
    CALLBACK: Answer(404, {"code": 10062, "message": "Unknown interaction"}),
    ANSWER: Answer(404, {"code": 10008, "message": "Unknown Message"}),
    FOLLOW_UP: Answer(400, {"code": 40094, "message": "Too many follow up messages"}),
}
EXPLICIT = Answer(400, {"code": 20009, "message": "Explicit content cannot be sent"})
AUTOMOD = Answer(400, {"code": 200000, "message": "Message was blocked by automatic moderation"})
BAD_FORM = Answer(400, {"code": 50035, "message": "Invalid Form Body"})
# Discord's lists of messages fail for a while, although posts work.
LIST_SHARE = 0.15
LIST_FAILS = Answer(500, {"code": 0, "message": "500: Internal Server Error"})
# Refusals that pass, in Discord's own JSON.
PASSING = [
    Answer(403, {"code": 40333, "message": "internal network error"}),
    Answer(403, {"code": 40004, "message": "Send messages has been temporarily disabled"}),
    Answer(400, {"code": 130000, "message": "API resource is currently overloaded"}),
]
UNKNOWN_WEBHOOK = Answer(404, {"code": 10015, "message": "Unknown Webhook"})
TOO_FAST = Answer(403, {"code": 40003, "message": "You are opening direct messages too fast"})

OUTAGE_EVERY = (6.0, 12.0)  # seconds from one outage to the next
OUTAGE_SECONDS = (0.2, 1.5)


class Refusals:
    """The paths at Discord that refuse messages at the moment, and the answers."""

    def __init__(self, seed: int, refused: set[str]) -> None:
        """Add each refusing path to `refused` at the first refusal."""
        self._seed = seed
        self._refused = refused

    def of(self, method: str, path: str) -> Answer | None:
        if method == "GET" and re.fullmatch(CHANNEL, path):
            period = int(time.monotonic() / REFUSED_SECONDS)
            rng = random.Random(f"{self._seed} list {path} {period}")
            return LIST_FAILS if rng.random() < LIST_SHARE else None
        if not re.fullmatch(SHOWING.get(method, ""), path):
            return None
        kind = next(kind for kind in UNKNOWN if re.fullmatch(kind, path))
        now = int(time.monotonic() / REFUSED_SECONDS) if kind == CHANNEL else 0
        rng = random.Random(f"{self._seed} {path} {now}")
        if rng.random() >= REFUSED_SHARE:
            return None
        self._refused.add(path)
        if kind == CALLBACK:
            return UNKNOWN[kind]
        return rng.choice((FORBIDDEN, TOO_LARGE, UNKNOWN[kind], EXPLICIT, AUTOMOD, BAD_FORM))


def chooser(rng: random.Random, refusals: Refusals | None = None) -> Chooser:
    """Return a chooser of random faults; `refusals` are for Discord only."""

    def choose(method: str, path: str) -> Fault | None:
        if re.fullmatch(NOT_JSON, path):
            return None
        share = SHARE
        if refusals is not None and (refusal := refusals.of(method, path)):
            return refusal
        if refusals is not None and re.fullmatch(SHOWING.get(method, ""), path):
            share = (SHARE - REFUSED_SHARE) / (1 - REFUSED_SHARE)
        if rng.random() >= share:
            return None
        return rng.choice(kinds(rng, method, path, discord=refusals is not None))

    return choose


def kinds(rng: random.Random, method: str, path: str, *, discord: bool) -> list[Fault]:
    """Return all possible faults of this request, equally likely."""
    after: dict[str, str] = {"Retry-After": "1"}
    found: list[Fault] = [
        Answer(500, API_ERROR),
        AnswerAfter(500, API_ERROR),
        Answer(502, HTML, HTML_TYPE),
        AnswerAfter(502, HTML, HTML_TYPE),
        Answer(503, API_ERROR),
        Answer(429, DISCORD_429, after | {"Via": "1.1 google"})
        if discord
        else Answer(429, API_ERROR, after),
        Answer(429, HTML, HTML_TYPE) if discord else Answer(429, API_ERROR),
        Reset(),
        ResetAfter(),
        Stall(rng.uniform(0.2, STALL_SECONDS)),
    ]
    if method != "DELETE":  # Discord's answers to DELETE have no body
        found.append(Truncate(rng.randrange(40)))
    if method == "GET" and re.fullmatch(POLLS, path):
        found.append(Answer(404, API_ERROR))
    return found + (codes(path) if discord else [])


def codes(path: str) -> list[Fault]:
    """Return Discord's own refusals that pass, and unreadable confirmations of a reply."""
    found: list[Fault] = [*PASSING]
    if re.fullmatch(CALLBACK, path):
        found += [AnswerAfter(204), AnswerAfter(200, HTML, HTML_TYPE), Answer(200, HTML, HTML_TYPE)]
    if re.fullmatch(f"{ANSWER}|{FOLLOW_UP}|{ORIGINAL}", path):
        found.append(UNKNOWN_WEBHOOK)
    if re.fullmatch(OPEN_DM, path):
        found.append(TOO_FAST)
    return found


def add_faults(arena: Arena, seed: int) -> None:
    """Add random faults until `clear_faults`."""
    for number, faults in enumerate(arena.faults):
        refusals = Refusals(seed, arena.refused) if number == 0 else None
        faults.chooser = chooser(random.Random(f"{seed} {number}"), refusals)


@asynccontextmanager
async def outages(arena: Arena, seed: int) -> AsyncIterator[None]:
    """Refuse connections to one of the APIs from time to time, until the block ends."""
    rng = random.Random(f"{seed} outages")

    async def repeat() -> None:
        while True:
            await asyncio.sleep(rng.uniform(*OUTAGE_EVERY))
            async with rng.choice((arena.oxen, arena.skills)).unreachable():
                await asyncio.sleep(rng.uniform(*OUTAGE_SECONDS))

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def request_and_wait(arena: Arena) -> None:
    """Send a request, and wait until the member sees the end or a refusal."""
    arena.maybe_fail()
    requested = await arena.request()
    canceling = arena.rng.random() < CANCELING
    try:
        await requested.interaction.answered()
        job_id = requested.job_id
        if canceling:
            await asyncio.sleep(arena.rng.uniform(0, CANCEL_SECONDS))
            await arena.cancel(requested)
        await arena.discord.world.changes.until(
            lambda: ended(arena, requested, job_id) or None, REQUEST_SECONDS, "no result yet"
        )
        arena.ended(requested)
    except TimeoutError:
        return


def ended(arena: Arena, requested: Requested, job_id: str | None) -> bool:
    answer = requested.interaction.message
    if answer is not None and (job_id is None or not answer.buttons()):
        return True  # a refusal, an end in the reply, or a status that was replaced by the result
    for message in reversed(arena.discord.world.messages.values()):
        if message.id < requested.interaction.id:
            return False
        if job_id in jobs_named(message):
            return True
    return False


async def run(jobs: int, seed: int) -> tuple[Verdict, float]:
    """Print what became of so many requests; return the verdict, and the polls of each."""
    print(f"seed {seed}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        async with arena(Path(folder), seed, long_side=LONG_SIDE) as made:
            made.add_members(MEMBERS)
            add_faults(made, seed)
            await made.start()
            slots = asyncio.Semaphore(AT_A_TIME)
            done = 0

            async def one() -> None:
                nonlocal done
                async with slots:
                    await request_and_wait(made)
                done += 1
                if done % 25 == 0:
                    print(f"{done} requests, {time.monotonic() - began:.0f} s", flush=True)

            async with outages(made, seed), asyncio.TaskGroup() as group:
                for _ in range(jobs):
                    group.create_task(one())
            await end(made)
            await made.kill()
            polls = count_polls(made)
            verdict = await judge(made)
            print_log(made, verdict)
    print(
        f"delivered: {verdict.fates['succeeded']}, failed with a reason: {verdict.fates['failed']}"
    )
    taken = verdict.requests - verdict.fates["never answered"]
    print(f"creating requests per job: {verdict.creating / taken:.2f}, polls: {polls / taken:.2f}")
    print_verdict(verdict)
    return verdict, polls / taken


async def figures(*, small: bool = False) -> list[Figure]:
    jobs = 60 if small else 500
    verdict, polls = await run(jobs, 4)
    name = f"{jobs} requests, a fifth of all answers faulty"
    return [*of_verdict(name, verdict), Figure(f"{name}: polls a job", polls, "")]


def count_polls(arena: Arena) -> int:
    return sum(
        request.method == "GET" and re.fullmatch(POLLS, request.path) is not None
        for request in (*arena.oxen.requests, *arena.skills.requests)
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("jobs", nargs="?", type=int, default=500)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    arguments = parser.parse_args()
    found, _ = asyncio.run(run(arguments.jobs, arguments.seed))
    sys.exit(0 if found.good else 1)
