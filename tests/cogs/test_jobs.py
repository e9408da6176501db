import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from bot.jobs import JobStatus
from bot.sandbox.discord.permissions import MANAGE_GUILD
from bot.sandbox.http.faults import Answer
from tests.support.easel import Stage, gateway_of, text_of


async def test_jobs_lists_what_is_under_way_and_what_has_ended(at: Stage) -> None:
    async with at.easel():
        assert "no jobs yet" in text_of(await at.command("jobs"))
        await at.imagine("a done fox")
        result = await at.result("done fox")
        await at.settled()
        at.oxen.manual = True
        waiting = await at.imagine("a [slow](https://example.com) hen")
        await at.said("Drawing")
        await at.imagine("of Ben", by=at.ben)
        listed = text_of(await at.command("jobs"))

    assert listed.index("Drawing") < listed.index("Done")
    assert r"a \[slow\]\(https\://example\.com\) hen" in listed
    assert waiting.message is not None
    for message in (waiting.message, result):
        link = f"https://discord.com/channels/{at.server.id}/{at.channel.id}/{message.id}"
        assert link in listed
    assert "of Ben" not in listed
    assert "are listed" not in listed


@pytest.mark.long
async def test_fifty_jobs_fit_into_one_answer(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel():
        for number in range(50):
            await at.imagine(f"{number} " + "*" * 500)
        listed = text_of(await at.command("jobs"))

    assert len(listed) < 4000
    assert f"Only {listed.count('<t:')} of your jobs are listed" in listed


async def test_cancel_completes_own_active_jobs_and_cancels_them(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel():
        await at.imagine("a slow fox")
        await at.imagine("of Ben", by=at.ben)
        offered = await at.discord.complete(at.ada, at.channel, "cancel", {"job": "fox"}, "job")
        assert [choice["name"].partition(": ")[2] for choice in offered] == ["a slow fox"]

        await at.command("cancel", job=offered[0]["value"])
        (job,) = await at.settled()

    assert job.status is JobStatus.CANCELED
    assert await at.balance() == 0


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        ("cancel", "You have no job with this id. See /jobs for yours."),
        (
            "show",
            "This result is private, was deleted, or is unknown here. "
            "Request a picture with /imagine.",
        ),
    ],
)
async def test_anothers_job_is_no_job(at: Stage, command: str, refusal: str) -> None:
    at.oxen.manual = True
    async with at.easel():
        await at.imagine("a fox", private=True)
        (job,) = await at.jobs()
        others = text_of(await at.command(command, by=at.ben, job=job.id))
        unknown = text_of(await at.command(command, by=at.ben, job="aaaaaaaaaaaaaaaa"))
        nonsense = text_of(await at.command(command, by=at.ben, job="%_'; DROP TABLE jobs"))

    assert others == unknown == nonsense == refusal


@pytest.mark.long
async def test_show_tells_all_about_a_job_with_its_pictures(at: Stage) -> None:
    async with at.easel():
        await at.imagine("a fox", count=2, aspect_ratio="1:1")
        (job,) = await at.settled()
        await at.discord.command(at.ada, at.channel, "show", {"job": job.id})
        shown = await at.discord.wait_for_message(
            lambda message: message.ephemeral_to is at.ada and bool(message.pictures())
        )

    assert len(shown.pictures()) == 2
    assert r"aspect_ratio 1\:1" in shown.text()
    assert "15 credits" in shown.text()
    assert f"job {job.id}" in shown.text()


@pytest.mark.long
async def test_history_shows_the_pictures_that_are_asked_for_also_after_a_restart(
    at: Stage,
) -> None:
    async with at.easel():
        assert "No job of yours has ended yet" in text_of(await at.command("history"))
        await at.imagine("a fox")
        (job,) = await at.settled()
        listed = await at.history()
        assert "a fox" in listed.text()
    async with at.easel():
        await at.discord.select(at.ada, listed, "easel:history", [job.id])
        await at.discord.wait_for_message(
            lambda message: message.ephemeral_to is at.ada and bool(message.pictures())
        )


@pytest.mark.long
async def test_models_tells_what_oxen_tells_itself(at: Stage) -> None:
    async with at.easel():
        listed = text_of(await at.command("models"))

    assert "`model:oxen`" in listed
    assert "7.5 credits a picture" in listed
    assert "1:1, **16:9**, 9:16, 4:3, 3:4, 3:2, 2:3, 2:1, 1:2" in listed


def subcommands(command: Mapping[str, Any]) -> list[list[str]]:
    """Return the names below a command of groups; one empty list for a command without."""
    below = [each for each in command.get("options", ()) if each["type"] == 1]
    return [[each["name"]] for each in below] or [[]]


async def test_help_names_every_command(at: Stage) -> None:
    at.discord.set_permissions(at.server, at.ada, MANAGE_GUILD)
    async with at.easel():
        told = text_of(await at.command("help"))
        names = {
            " ".join((command["name"], *path))
            for command in at.discord.commands
            for path in subcommands(command)
        }

    assert "my notify" in names
    menus = {command["name"] for command in at.discord.commands if command["type"] == 3}
    assert menus == {"Edit image", "Recipe"}
    assert all(f"Apps → {name}" in told for name in menus)
    assert all(f"`/{name}`" in told for name in names - menus)


async def test_help_leaves_the_commands_of_managers_out_for_others(at: Stage) -> None:
    async with at.easel():
        here = text_of(await at.command("help"))
        direct = text_of(await at.command("help", where=at.discord.dm_channel(at.ada)))

    for told in (here, direct):
        assert "`/usage`" in told
        assert "/credits" not in told
        assert "/server" not in told


@pytest.mark.long
async def test_what_discord_did_not_take_is_no_mistake_of_ours(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    at.discord.faults.add("POST", "/api/v10/interactions/.*", Answer(429, "<html>slow</html>"))
    async with at.easel():
        asked = await at.command("jobs")

    assert "Please try again" in text_of(asked)
    assert "request to Discord failed" in caplog.text
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.long
async def test_private_replies_leave_no_view_in_memory(at: Stage) -> None:
    """discord.py would store each of them for 15 minutes."""
    async with at.easel() as app:
        for _ in range(5):
            await at.command("jobs")
            await at.command("cancel", job="aaaaaaaaaaaaaaaa")
        await at.imagine("a fox", private=True)
        await at.settled()
        await at.history()
        client = gateway_of(app).client
        assert client is not None
        views = client._connection._view_store
        timers = [task for task in asyncio.all_tasks() if "timeout_task" in repr(task.get_coro())]

    assert not views._views
    assert not views._synced_message_views
    assert timers == []
