"""Presses and forms: by whom, with which command, and what is said of forged ones."""

import time
from pathlib import Path
from typing import Any

import discord
import pytest

from bot.jobs import Job, JobStatus
from bot.sandbox.discord import User
from bot.sandbox.discord.interactions import MODAL
from bot.sandbox.discord.permissions import ADMINISTRATOR, MANAGE_MESSAGES, USE_APPLICATION_COMMANDS
from bot.sandbox.http.faults import Answer, Hold
from bot.store import jobs, members
from bot.store.database import Database
from cogs import _access, handle_interaction
from tests.support.rows import new_job, one
from tests.support.serving import Serving, serving, told

SETTINGS = r"/api/v10/applications/\d+/guilds/\d+/commands/permissions"


@pytest.fixture
def ben(by: Serving) -> User:
    return by.fake.add_user("Ben")


async def requested(by: Serving, user: User) -> list[Job]:
    async with by.services.database.reading() as view:
        return await members.recent_of(view, user.id, 10)


def setting(everybody: int, *, allowed: bool, command: int = 0, by: Serving) -> Answer:
    """Return the settings of a server by which a role may use a command, or all."""
    of = str(command or by.fake.application_id)
    permission = {"id": str(everybody), "type": 1, "permission": allowed}
    body: Any = [{"id": of, "permissions": [permission]}]
    return Answer(200, _json(body), {"Content-Type": "application/json"})


def _json(body: object) -> str:
    return str(discord.utils._to_json(body))


async def test_a_button_needs_the_right_to_use_commands(by: Serving, ben: User) -> None:
    job, message = await by.result()
    by.fake.set_channel_permissions(by.channel, ben, deny=USE_APPLICATION_COMMANDS)
    said = told(await by.press(message, f"easel:again:{job.id}", by=ben))

    assert said.startswith("You may not use /imagine in this channel.")
    assert "/edit" in told(await by.press(message, f"easel:edit:{job.id}", by=ben))
    assert await requested(by, ben) == []
    assert by.sent("GET")[2:] == []  # no settings were read

    by.fake.set_permissions(by.server, ben, ADMINISTRATOR)
    await by.press(message, f"easel:again:{job.id}", by=ben)
    assert len(await requested(by, ben)) == 1


async def test_a_button_obeys_the_settings_of_the_server(by: Serving, ben: User) -> None:
    job, message = await by.result()
    by.fake.faults.add("GET", SETTINGS, setting(by.server.id, allowed=False, by=by))
    assert "may not use" in told(await by.press(message, f"easel:again:{job.id}", by=ben))
    assert await requested(by, ben) == []


async def test_settings_that_cannot_be_read_in_time_refuse_the_press(
    by: Serving, ben: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _access.PERMISSIONS_TIMEOUT == 1.2
    monkeypatch.setattr(_access, "PERMISSIONS_TIMEOUT", 0.05)
    job, message = await by.result()
    held = by.fake.faults.add("GET", SETTINGS, Hold())
    said = told(await by.press(message, f"easel:again:{job.id}", by=ben))
    held.remove()

    assert "Try again in a minute" in said
    assert await requested(by, ben) == []


async def test_a_press_is_handled_in_direct_messages_without_any_settings(by: Serving) -> None:
    channel = by.fake.dm_channel(by.ada)
    job, message = await by.result(where=channel)
    await by.press(message, f"easel:again:{job.id}")

    assert len(await requested(by, by.ada)) == 2
    assert [path for path in by.sent("GET") if "permissions" in path] == []


async def test_what_is_made_from_a_private_result_is_private(by: Serving) -> None:
    job, message = await by.result(private=True)
    await by.press(message, f"easel:again:{job.id}")
    made = [each for each in await requested(by, by.ada) if each.id != job.id]

    assert [(each.route.private, each.source_job_id) for each in made] == [(True, job.id)]


@pytest.mark.parametrize("known", [True, False])
async def test_the_button_of_an_unknown_job_is_evidence_of_a_second_copy(
    by: Serving, ben: User, known: bool
) -> None:
    by.fake.world.ids.clock = lambda: time.time() + 120  # the message is newer than this run
    job, message = await by.result(private=known)
    job_id = job.id if known else "a" * 16
    for verb in ("again", "cancel"):
        by.studio.copies.last_seen = None
        made = await by.press(message, f"easel:{verb}:{job_id}", by=ben)
        assert (by.studio.copies.last_seen is None) is known, verb
        assert told(made)


async def test_only_presses_of_the_bots_own_items_are_answered(by: Serving) -> None:
    _, message = await by.result()
    foreign = await by.press(message, "other:again")
    assert foreign.response is None
    unknown = await by.press(message, "easel:none such")
    assert "no longer works" in told(unknown)
    form = by.interaction(MODAL, source=message, custom_id="easel:none such", components=[])
    await handle_interaction(by.received(form))
    assert "This form is closed" in told(form)
    command = by.interaction()
    await handle_interaction(by.received(command))
    assert command.response is None


async def test_a_choice_without_a_value_is_forged(by: Serving) -> None:
    job, message = await by.result()
    assert "no longer works" in told(await by.press(message, "easel:history"))
    made = await by.press(message, "easel:history", values=[f" {job.id.upper()} "])
    assert "a fox" in told(made)


async def test_an_erasure_and_a_cancel_are_open_to_blocked_members(
    database: Database, tmp_path: Path
) -> None:
    async with serving(database, tmp_path) as before:
        ada = before.ada
    async with serving(database, tmp_path, blocked_users=frozenset({ada.id})) as by:
        by.ada = by.fake.world.users[ada.id] = ada
        job = await waiting(by)
        message = await by.post("waiting")
        await by.press(message, f"easel:cancel:{job.id}")
        assert (await by.job(job.id)).status is JobStatus.CANCELED
        assert "blocked" in told(await by.press(message, f"easel:more:{job.id}"))


async def waiting(by: Serving, **changes: Any) -> Job:  # noqa: ANN401  # of the row
    job = await one(by.services.database, new_job(by.ada.id, server_id=by.server.id))
    async with by.services.database.transaction() as tx:
        changed = await jobs.change(
            tx,
            job.id,
            **{"status_message_id": 40, **changes},
        )
    assert changed is not None
    return changed


async def test_a_cancel_is_deferred_while_the_worker_edits_the_message(by: Serving) -> None:
    job, message = await waiting(by), await by.post("waiting")
    made = await by.press(message, f"easel:cancel:{job.id}")

    assert made.response is not None
    assert made.response["type"] == 6  # the worker edits the message
    assert message.text() == "waiting"


async def test_after_its_last_edit_the_message_shows_the_cancel_at_once(by: Serving) -> None:
    job, message = await waiting(by, final_status_sent=True), await by.post("waiting")
    made = await by.press(message, f"easel:cancel:{job.id}")

    assert made.response is not None
    assert made.response["type"] == 7
    assert "Canceled" in message.text()
    assert message.buttons() == []


async def test_a_moderator_cancels_the_job_of_another_in_its_channel(
    by: Serving, ben: User
) -> None:
    job, message = await waiting(by), await by.post("waiting")
    assert told(await by.press(message, f"easel:cancel:{job.id}", by=ben))
    assert (await by.job(job.id)).status is JobStatus.QUEUED
    by.fake.set_permissions(by.server, ben, MANAGE_MESSAGES)
    async with by.services.database.transaction() as tx:
        route = {"channel_id": by.channel.id}
        await jobs.change(tx, job.id, **route)  # type: ignore[arg-type]
    await by.press(message, f"easel:cancel:{job.id}", by=ben)
    assert (await by.job(job.id)).status is JobStatus.CANCELED
