"""What the operator reads in the log, and what nobody must read there."""

import asyncio
import json
import os
import re
import signal
import socket
import sqlite3
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from contextvars import copy_context
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unicodedata import normalize

import aiohttp
import pytest

from bot.observability import logs
from bot.observability.logs import hide, redact
from bot.sandbox.discord import Interaction
from bot.sandbox.http.faults import Answer, Fault, Reset, ResetAfter, Truncate
from tests.support.easel import KEY, SKILLS_KEY, TOKEN, Stage
from tests.test_main import ROOT

pytestmark = pytest.mark.long

PROMPT = 'a fox that nobody\nmay read of, in "Kamchatka"'
NEGATIVE = "no Vladivostok, please"
ANSWERS = r"/api/v10/interactions/\d+/[^/]+/callback"
WEBHOOKS = r"/api/v10/webhooks/.*"
SEND = r"/api/v10/channels/\d+/messages"
QUEUE = "/api/ai/queue"
# discord.py takes a 429 without Via for that of a proxy, and raises it
SLOW = Answer(429, {"retry_after": 0.1, "message": "slow", "global": False}, {"Via": "1.1 x"})


@dataclass
class Run:
    """What a process wrote, once it has ended."""

    text: str = ""
    tokens: set[str] = field(default_factory=set)

    def lines(self) -> list[Mapping[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@asynccontextmanager
async def process(at: Stage, run: Run, **settings: str) -> AsyncIterator[None]:
    given = {
        "DISCORD_TOKEN": TOKEN,
        "DISCORD_API_URL": at.discord.url,
        "OXEN_API_KEY": KEY,
        "OXEN_API_URL": at.oxen.url,
        "PRIVATE_HOSTS": at.private_hosts,
        "SKILLS_API_KEY": SKILLS_KEY,
        "SKILLS_API_URL": at.skills.url,
        "MAX_JOBS": "unlimited",
        "DATABASE_URL": f"sqlite:///{at.path}",
    }
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "bot", "run"),
        cwd=at.folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **given, **settings},
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    reading = asyncio.create_task(started.communicate())
    try:
        async with asyncio.timeout(40):
            await at.discord.connected(60)
            await at.discord.commands_registered()
            yield
            started.send_signal(signal.SIGTERM)
            output, errors = await reading
        run.text = output.decode() + errors.decode()
    finally:
        if started.returncode is None:
            started.kill()
            await asyncio.wait({reading})


async def ask(at: Stage, run: Run, model: str) -> Interaction:
    asked = await at.discord.command(
        at.ada,
        at.channel,
        "imagine",
        {"prompt": PROMPT, "model": model, "negative_prompt": NEGATIVE},
    )
    run.tokens.add(asked.token)
    return asked


async def trouble(at: Stage, run: Run) -> None:
    """Everything fails once that can, and is logged: refusals, doubts, limits, locked rows."""
    echo = {"error": {"message": f"cannot draw {PROMPT} without {NEGATIVE} for {KEY} {SKILLS_KEY}"}}
    page = f"<html>{PROMPT} {NEGATIVE} {KEY} {SKILLS_KEY}</html>"
    for faults, create in ((at.oxen.faults, QUEUE), (at.skills.faults, "/api/v1/.*")):
        model = "oxen" if faults is at.oxen.faults else "skills"
        for fault in (Answer(400, echo), Answer(500, page), Answer(200, page), Truncate(20)):
            rule = faults.add("POST", create, fault)
            await (await ask(at, run, model)).answered()
            await rule.reached()
        faults.add("GET", ".*", Answer(500, page), times=2)
    late: list[tuple[str, Fault]] = [(WEBHOOKS, Reset()), (SEND, SLOW), (SEND, Reset())]
    for path, broken in late:
        at.discord.faults.add("*", path, broken)
    await (await ask(at, run, "oxen")).answered()
    for refusal in (Answer(400, {"message": f"{PROMPT} {NEGATIVE}", "code": 50035}), SLOW):
        at.discord.faults.add("POST", ANSWERS, refusal)
        await (await ask(at, run, "skills")).answered()
    rule = at.discord.faults.add("POST", ANSWERS, ResetAfter())
    await ask(at, run, "skills")
    await rule.reached()
    # discord.py logs the whole address, with the token in it, where this is refused for its speed
    rule = at.discord.faults.add("GET", f"{WEBHOOKS}/messages/@original", SLOW)
    at.audited = False
    await asyncio.to_thread(spoil, at.path)
    await rule.reached()


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


async def read(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return await response.text()


def spoil(path: Path) -> None:
    """No job can be stored any more, and answers that are in doubt are so for long."""
    with closing(sqlite3.connect(path, timeout=5)) as connection:
        connection.executescript(
            "CREATE TRIGGER full BEFORE INSERT ON jobs BEGIN SELECT RAISE(ABORT, 'full'); END;"
            "UPDATE jobs SET created_at = datetime('now', '-20 seconds') "
            "WHERE status_message_id IS NULL;"
        )


@pytest.mark.parametrize("form", ["console", "json"])
async def test_no_secret_and_no_prompt_is_logged_whatever_fails(at: Stage, form: str) -> None:
    run = Run()
    port = free_port()
    async with process(at, run, LOG_LEVEL="DEBUG", LOG_FORMAT=form, HTTP_PORT=str(port)):
        await trouble(at, run)
        told = [await read(f"http://127.0.0.1:{port}/{page}") for page in ("metrics", "healthz")]
        sorry = await ask(at, run, "oxen")
        assert "Something went wrong" in (await sorry.answered()).message.text()  # type: ignore[union-attr]
        await at.said("Nothing was charged")

    assert "easel_jobs" in told[0]
    assert "oxen" in told[1]
    run.text += "".join(told)
    assert run.text.count("Traceback") >= 2
    assert "full" in run.text
    assert "[prompt]" in run.text
    assert "[token]" in run.text
    for secret in (TOKEN, KEY, SKILLS_KEY, *run.tokens):
        assert secret not in run.text
    assert "Kamchatka" not in run.text
    assert "nobody" not in run.text
    assert "Vladivostok" not in run.text


async def test_a_json_line_tells_its_job_and_its_interaction(at: Stage) -> None:
    run = Run()
    at.discord.faults.add("POST", ANSWERS, Answer(400, {"message": "no", "code": 50035}))
    async with process(at, run, LOG_FORMAT="json"):
        failed = await ask(at, run, "oxen")
        await failed.answered()
        await (await ask(at, run, "oxen")).answered()
        await at.settled(2)

    _, job = sorted(await at.jobs(), key=lambda job: job.created_at)
    of_job = [line["event"] for line in run.lines() if line.get("job") == job.id]
    assert any(event.startswith("running at oxen as ") for event in of_job)
    assert "succeeded with 1 pictures" in of_job
    (trace,) = [line for line in run.lines() if "exception" in line]
    assert (trace["interaction"], trace["command"]) == (failed.id, "imagine")
    assert trace["level"] == "error"
    assert "Traceback (most recent call last)" in trace["exception"]
    assert "job" in trace


async def test_a_line_about_a_button_tells_the_job(at: Stage) -> None:
    run = Run()
    at.oxen.hold_generations()
    async with process(at, run, LOG_FORMAT="json"):
        message = await (await ask(at, run, "oxen")).answered()
        job = (await at.jobs())[0]
        refused = at.discord.faults.add("POST", ANSWERS, Answer(400, {"message": "no", "code": 1}))
        await at.discord.click(at.ada, message.message, f"easel:cancel:{job.id}")  # type: ignore[arg-type]
        await refused.reached()
        at.oxen.release_generations()
        await at.settled()

    (line,) = [each for each in run.lines() if "exception" in each]
    assert line["job"] == job.id


async def test_the_console_shows_the_job_and_no_colours_where_it_is_no_terminal(
    at: Stage,
) -> None:
    run = Run()
    async with process(at, run):
        await (await ask(at, run, "oxen")).answered()
        (job,) = await at.settled()

    assert re.search(rf"succeeded with 1 pictures .*job={job.id}", run.text)
    assert "\x1b" not in run.text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("no: {prompt}!", "no: [prompt]!"),
        ("no: {prompt} and {prompt}", "no: [prompt] and [prompt]"),
        ("cut: a fox in the snow, by night a…", "cut: [prompt]…"),
        ("other: a fox in a barn", "other: a fox in a barn"),
        ("GET https://x/api/v10/webhooks/12/abcdefgh/messages/@original",
         "GET https://x/api/v10/webhooks/12/[token]/messages/@original"),
        ("a key-of-mine", "a [secret]"),
    ],
)  # fmt: skip
def test_what_is_taken_out_of_a_line(text: str, left: str) -> None:
    prompt = "a fox in the snow, by night and far away"
    hide(prompt)

    assert redact(text.format(prompt=prompt), ["key-of-mine"]) == left


PROMPT = "a red fox that sleeps in the deep snow of a northern forest, in the café à la Ségur"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("refused: “that sleeps in the deep”", "refused: “[prompt]”"),
        ("[a red fox th] and [ of a northern fo]", "[[prompt]] and [[prompt]]"),
        ("a red fox", "a red fox"),
        ("in the café à la Ségur", "[prompt]"),
        (normalize("NFD", "in the café à la Ségur"), "[prompt]"),
        (json.dumps(normalize("NFD", "the café à la Ségur")), '"[prompt]"'),
        ("deep snow of", "[prompt]"),
        ("deep snow o", "deep snow o"),
        ("nothing of the prompt", "nothing of the prompt"),
        ("", ""),
    ],
)
async def test_any_part_of_a_prompt_is_taken_out_of_a_line(text: str, left: str) -> None:
    async def line() -> str:  # a task of its own, whose hidden prompts end with it
        hide(PROMPT)
        return redact(text, ())

    assert await asyncio.create_task(line()) == left


async def test_a_long_traceback_with_a_long_prompt_takes_no_time() -> None:
    async def line() -> str:
        hide("".join(chr(0x4E00 + number) for number in range(2000)))
        return redact("x" * 200_000, ())

    async with asyncio.timeout(20):
        assert len(await asyncio.create_task(line())) == 200_000


def test_many_prompts_are_hidden_without_being_remembered_in_pieces() -> None:
    prompts = [f"{number:04} {'fox ' * 500}" for number in range(40)]

    def redacted() -> str:
        hide(*prompts)
        return redact(f"refused: {prompts[30][1:41]} and the rest", [])

    before = logs._pieces.cache_info().currsize
    assert copy_context().run(redacted) == "refused: [prompt] and the rest"
    assert logs._pieces.cache_info().currsize == before
