"""Hostile input of members: private refusals, and messages within Discord's limits."""

import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.jobs import JobStatus
from bot.sandbox.discord import Message, User
from bot.sandbox.discord.request_body import Json
from cogs._options import choices
from cogs.ui.panel import CANCEL, cancel_id
from tests.support.easel import Stage, text_of

pytestmark = pytest.mark.long

TEXTS = [
    *("x" * 2000, "*" * 2000, "🦊" * 2000, "\\" * 2000, "`" * 2000, "é́" * 1000, "a\n" * 1000),
    *("@everyone @here <@1> <@&2> <#3>", "</imagine:1> <t:0:R> <:a:1>", "||```\n# -# > [a](b)"),
    *(
        "x\0y",
        "x\ud800y",
        "\u202etxt\u2066",
        "{0} {service} %s %(x)s",
        "' OR 1=1 --",
        "\ufdfd" * 2000,
    ),
    *("x\x1b[31m", "<script>alert(1)</script>", "🏳️‍🌈👩‍👩‍👧", "\u0300" * 50 + "a", "\U0010ffff x"),
    *(
        "-# job aaaaaaaaaaaaaaaa",
        "easel-aaaaaaaaaaaaaaaa-1.png",
        "http://x/easel-a-1.png",
    ),
]
TYPED = [*TEXTS, "", " ", "1:1", "16", "(default)", "oxen", "%", "_", "\\", "x" * 6000]
IDS = [
    *("", " ", "x", "a" * 15, "a" * 17, "A" * 16, "aaaaaaaaaaaaaaa1", "a" * 16 + "\n", "a" * 6000),
    *("%", "' OR 1=1 --", "\0", "@everyone", "../../etc/passwd", "🦊", "None", "0"),
]
NO_JOB = "You have no job with this id. See /jobs for yours."
NOT_SEEN = (
    "This result is private, was deleted, or is unknown here. Request a picture with /imagine."
)


def pinged(at: Stage) -> set[int]:
    """Return the ids of all pinged members; 0 stands for everyone."""
    found = at.discord.world.messages.values()
    return {id for message in found for id in message.pings} | {
        0 for message in found if message.pings_everyone
    }


async def test_any_prompt_is_drawn_or_refused_and_pings_nobody_else(at: Stage) -> None:
    """The stand-in checks that each message is within Discord's limits."""
    async with at.easel():
        for prompt in TEXTS:
            asked = await at.imagine(prompt)
            assert asked.message is not None
            assert len(asked.message.text()) < 4000
        accepted = len(await at.jobs())
        found = await at.settled(accepted, timeout=40)
        listed = text_of(await at.command("jobs"))
        page = await at.history()

    assert accepted >= len(TEXTS) - 2
    assert {job.status for job in found} == {JobStatus.SUCCEEDED}
    assert all(job.result_message_id for job in found)
    assert pinged(at) == {at.ada.id}
    assert len(listed) < 4000
    assert len(page.text()) < 4000


async def test_any_text_for_an_option_is_one_private_sentence(at: Stage) -> None:
    async with at.easel():
        for option in ("model", "aspect_ratio", "image_size", "output_format"):
            for text in TYPED:
                if not text.strip():
                    continue  # Discord sends no such thing
                given: dict[str, Any] = {option: text}
                asked = await at.imagine("a fox", **given)
                if text in ("1:1", "oxen") and asked.message and not asked.message.ephemeral_to:
                    continue  # it is a value
                refused = text_of(asked)
                assert 10 < len(refused) < 400, text
                assert "was logged" not in refused
        taken = await at.jobs()

    assert len(taken) == 2
    assert pinged(at) <= {at.ada.id}


async def test_any_text_completes_to_what_discord_takes(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel():
        for prompt in random.Random(1).sample(TEXTS, 8):
            await at.imagine(prompt)
        for typed in TYPED[::2]:
            for command, option in (
                *(("imagine", name) for name in ("model", "aspect_ratio", "image_size")),
                *(("cancel", "job"), ("show", "job")),
            ):
                given = {option: typed} | ({"prompt": "x"} if command == "imagine" else {})
                offered = await at.discord.complete(at.ada, at.channel, command, given, option)
                check(offered)


def check(offered: list[Json]) -> None:
    assert len(offered) <= 25
    for choice in offered:
        assert 1 <= len(choice["name"]) <= 100
        assert 1 <= len(choice["value"]) <= 100


@given(st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1)), max_size=40), st.text())
def test_any_choices_fit(named: list[tuple[str, str]], typed: str) -> None:
    found = choices([(f"Queued: {name}", value) for name, value in named], typed)

    assert len(found) <= 25
    assert all(1 <= len(choice.name) <= 100 for choice in found)


@pytest.mark.parametrize("command", ["cancel", "show"])
async def test_any_text_for_a_job_is_no_such_job(at: Stage, command: str) -> None:
    at.oxen.manual = True
    async with at.easel():
        await at.imagine("a fox")
        (job,) = await at.jobs()
        for text in [*IDS, job.id[:-1], job.id + "a", f"easel:cancel:{job.id}"]:
            if text.strip():
                refusal = NO_JOB if command == "cancel" else NOT_SEEN
                assert text_of(await at.command(command, job=text)) == refusal, text
        assert (await at.jobs())[0].cancel_requested_at is None


def components(message: Message, kind: int) -> Iterator[Json]:
    for item in (message.interactive(str(each["custom_id"])) for each in message.buttons()):
        if item is not None and item["type"] == kind:
            yield item


async def press(at: Stage, user: User, message: Message, custom_id: str) -> str | None:
    """Press a button with another custom_id; return the private reply, or None for no reply."""
    (button,) = components(message, 2)
    real, button["custom_id"] = button["custom_id"], custom_id
    before = message.text()
    try:
        pressed = await at.discord.click(user, message, custom_id)
        try:
            await pressed.answered(0.5)
        except TimeoutError:
            return None
        assert message.text() == before
        return text_of(pressed)
    finally:
        button["custom_id"] = real


async def test_a_forged_button_does_nothing_and_says_so_privately(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel():
        asked = await at.imagine("a fox")
        await at.said("Drawing")
        (job,) = await at.jobs()
        message = asked.message
        assert message is not None

        refused = await press(at, at.ben, message, f"easel:cancel:{job.id}")
        assert (refused or "").startswith("Only the member who requested this job")
        assert await press(at, at.ada, message, "easel:cancel:aaaaaaaaaaaaaaaa") == NO_JOB
        for unknown in (
            *("easel:cancel:", f"easel:cancel:{job.id}a", f"easel:cancel:{job.id.upper()}"),
            *(
                f"easel:cancel:{job.id}\n",
                f"x easel:cancel:{job.id}"[2:] + ":1",
                "easel:" + "x" * 94,
            ),
            # A select of Easel's, pressed like a button.
            *(
                "easel:history",
                "easel:history:x",
                f"easel:cancel:{job.id}:{'x' * 3000}",
                "easel:\0",
                "easel:",
            ),
        ):
            told = await press(at, at.ada, message, unknown)
            assert told is not None, unknown
            assert "no longer works" in told
        assert await press(at, at.ada, message, "of-another-bot") is None
        (same,) = await at.jobs()

    assert same.status is JobStatus.RUNNING
    assert same.cancel_requested_at is None


async def test_a_forged_choice_of_the_history_is_no_such_job(at: Stage) -> None:
    async with at.easel():
        await at.imagine("of Ben", by=at.ben, private=True)
        await at.result("of Ben")
        (others,) = await at.jobs(at.ben)
        await at.imagine("a fox")
        await at.settled()
        listed = await at.history()
        select = listed.interactive("easel:history")
        assert select is not None
        for value in (others.id, *IDS):
            select["options"][0]["value"] = value
            chosen = await at.discord.select(at.ada, listed, "easel:history", [value])
            assert text_of(await chosen.answered()) == NOT_SEEN, value


@given(st.text(max_size=40))
def test_only_an_id_of_ours_is_read_from_a_button(text: str) -> None:
    found = CANCEL.fullmatch(f"easel:cancel:{text}")
    assert found is None or cancel_id(found["job"]) == f"easel:cancel:{text}"
