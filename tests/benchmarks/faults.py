"""Is anything lost or paid for twice where a fifth of all answers is faulty:
`python -m tests.benchmarks.faults`.

Every answer of Discord and of both image APIs, those to interactions among them, is with the same
chance an error with or without an effect, cut off, late, or no answer at all. Many members ask at
the same time; in the end every request is looked at: tests/verdict.py has what must hold.
"""

import argparse
import asyncio
import random
import re
import sys
import tempfile
import time
from pathlib import Path

from bot.sandbox.faults import (
    Answer,
    AnswerAfter,
    Chooser,
    Fault,
    Reset,
    ResetAfter,
    Stall,
    Truncate,
)
from tests.benchmarks.crash import end, print_verdict
from tests.crash import Arena, Asked, arena
from tests.verdict import CANCELED, NOT_CHARGED, judge

SHARE = 0.2
MEMBERS = 40
AT_A_TIME = 20
ASKED_SECONDS = 90.0  # for one request; what takes longer is waited for in the end
STALL_SECONDS = 2.5
HTML = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
HTML_TYPE = {"Content-Type": "text/html"}
NOT_JSON = r"/gateway/?|/api/events"  # streams: they end by themselves often enough
POLLS = r"/api/ai/queue/[^/]+|/api/v1/generation/gen_[^/]+"
API_ERROR = {"error": {"message": "Service temporarily unavailable"}}
# What Discord's own answers have, and its proxy's have not: discord.py tells them apart by it.
DISCORD_429 = {"message": "You are being rate limited.", "retry_after": 0.5, "global": False}


def chooser(rng: random.Random, *, discord: bool) -> Chooser:
    def choose(method: str, path: str) -> Fault | None:
        if re.fullmatch(NOT_JSON, path) or rng.random() >= SHARE:
            return None
        return rng.choice(kinds(rng, method, path, discord=discord))

    return choose


def kinds(rng: random.Random, method: str, path: str, *, discord: bool) -> list[Fault]:
    """All that may go wrong with this request, each as likely as the others."""
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
    if method != "DELETE":  # whose answers have no body at Discord
        found.append(Truncate(rng.randrange(40)))
    if method == "GET" and re.fullmatch(POLLS, path):
        found.append(Answer(404, API_ERROR))
    return found


def go_wrong(arena: Arena, seed: int) -> None:
    """From now on, until `let_go`."""
    for number, faults in enumerate(arena.faults):
        faults.chooser = chooser(random.Random(f"{seed} {number}"), discord=number == 0)


async def ask_and_wait(arena: Arena) -> None:
    """One request, until its member sees how it ended or was told that it was not taken."""
    asked = await arena.ask()
    try:
        await asked.interaction.answered()
        await arena.discord.world.changes.until(
            lambda: ended(arena, asked) or None, ASKED_SECONDS, "no result yet"
        )
    except TimeoutError:
        return


def ended(arena: Arena, asked: Asked) -> bool:
    answer = asked.interaction.message
    if answer is not None and asked.prompt not in answer.text():
        return True  # a refusal
    for message in reversed(arena.discord.world.messages.values()):
        if message.id < asked.interaction.id:
            return False
        text = message.text()
        if asked.prompt in text and (message.pictures() or NOT_CHARGED in text or CANCELED in text):
            return True
    return False


async def main(jobs: int, seed: int) -> int:
    print(f"seed {seed}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        async with arena(Path(folder), seed) as made:
            made.add_members(MEMBERS)
            go_wrong(made, seed)
            await made.start()
            places = asyncio.Semaphore(AT_A_TIME)
            done = 0

            async def one() -> None:
                nonlocal done
                async with places:
                    await ask_and_wait(made)
                done += 1
                if done % 25 == 0:
                    print(f"{done} requests, {time.monotonic() - began:.0f} s", flush=True)

            async with asyncio.TaskGroup() as group:
                for _ in range(jobs):
                    group.create_task(one())
            await end(made)
            await made.kill()
            polls = count_polls(made)
            verdict = await judge(made, once=False)
    print(
        f"delivered: {verdict.fates['succeeded']}, failed with a reason: {verdict.fates['failed']}"
    )
    taken = verdict.requests - verdict.fates["never answered"]
    print(f"creating requests per job: {verdict.creating / taken:.2f}, polls: {polls / taken:.2f}")
    print_verdict(verdict)
    return 0 if verdict.good else 1


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
    sys.exit(asyncio.run(main(arguments.jobs, arguments.seed)))
