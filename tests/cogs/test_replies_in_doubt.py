"""Replies of a member's command: private, deferred, in doubt, and errors as sentences."""

import logging
from collections.abc import Sequence
from typing import Any

import aiohttp
import discord
import pytest
from discord import app_commands

from bot.errors import UserError
from bot.sandbox.discord import Interaction
from bot.sandbox.discord.interactions import COMPONENT, State
from bot.sandbox.http.faults import Answer, AnswerAfter, Hold
from cogs import _replies
from cogs._forms import open_form
from cogs._replies import (
    DEFERRED,
    FormUnread,
    HasStudio,
    ReplyUnread,
    defer,
    first_reply,
    has_replied,
    reply_error,
    reply_privately,
    studio_of,
)
from cogs.ui import wording
from cogs.ui.panel import notice
from tests.support.discord_objects import http_error
from tests.support.ground import ground
from tests.support.serving import Serving

CALLBACK = r"/api/v10/interactions/.*/callback"
HOOKS = r"/api/v10/webhooks/.*"
PAGE = AnswerAfter(200, "<html>")


def used(by: Serving, kind: int = 2) -> tuple[Interaction, discord.Interaction[Any]]:
    made = by.interaction(kind)
    return made, by.received(made)


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    own = [each for each in caplog.records if each.name == _replies.__name__]
    return [(each.levelname, each.getMessage()) for each in own]


async def test_a_second_private_message_is_a_follow_up(by: Serving) -> None:
    made, interaction = used(by)
    assert not has_replied(interaction)
    await reply_privately(interaction, notice("one"))
    assert has_replied(interaction)
    await reply_privately(interaction, notice("two"))

    assert made.message is not None
    assert (made.message.text(), made.message.ephemeral_to) == ("one", by.ada)
    assert [(each.text(), each.ephemeral_to) for each in made.followups] == [("two", by.ada)]


async def test_after_a_deferral_in_doubt_messages_are_follow_ups(
    by: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, _replies.__name__)
    by.fake.faults.add("POST", CALLBACK, PAGE)
    made, interaction = used(by)
    await defer(interaction)
    assert has_replied(interaction)
    await reply_privately(interaction, notice("two"))

    assert made.message is not None
    assert (made.message.text(), made.message.ephemeral_to) == ("two", by.ada)
    ((level, line),) = lines(caplog)
    assert level == "INFO"
    assert line.startswith(f"outcome of the deferral of interaction {made.id} unknown: ")


async def test_a_deferral_that_surely_did_not_arrive_is_an_error(by: Serving) -> None:
    by.fake.faults.add("POST", CALLBACK, Answer(200, "<html>"))
    gone = Answer(404, {"code": 10008, "message": "Unknown Message"})
    by.fake.faults.add("GET", HOOKS, gone)
    _, interaction = used(by)
    with pytest.raises(ReplyUnread):
        await defer(interaction)

    assert DEFERRED not in interaction.extras


@pytest.mark.parametrize("thinking", [True, False])
async def test_a_deferral_is_private_or_leaves_the_message(by: Serving, thinking: bool) -> None:
    source = await by.post("a page")
    made = by.interaction(COMPONENT, source=source, component_type=2, custom_id="x")
    await defer(by.received(made), thinking=thinking)

    assert made.state is (State.DEFERRED if thinking else State.ANSWERED)
    assert made.response is not None
    assert made.response["type"] == (5 if thinking else 6)
    if thinking:
        assert made.message is not None
        assert made.message.ephemeral_to is by.ada


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError(),
        OSError(),
        aiohttp.ClientError(),
        http_error(500),
        AttributeError(),
        KeyError(),
        TypeError(),
        ValueError(),
    ],
    ids=repr,
)
async def test_an_outcome_that_is_unknown_is_named_so(error: Exception) -> None:
    with pytest.raises(ReplyUnread):
        async with first_reply():
            raise error


async def test_a_refusal_is_no_unknown_outcome() -> None:
    for error in (http_error(403, 50013), RuntimeError()):
        with pytest.raises(type(error)):
            async with first_reply():
                raise error


async def test_a_first_reply_is_waited_for_ten_seconds(
    by: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _replies.REPLY_TIMEOUT == 10
    monkeypatch.setattr(_replies, "REPLY_TIMEOUT", 0.1)
    held = by.fake.faults.add("POST", CALLBACK, Hold())
    _, interaction = used(by)
    with pytest.raises(ReplyUnread, match="TimeoutError"):
        await reply_privately(interaction, notice("one"))
    held.remove()


async def test_a_client_without_a_studio_serves_nothing() -> None:
    async with ground() as on:
        assert not isinstance(on.client, HasStudio)
        with pytest.raises(TypeError):
            studio_of(on.received(on.interaction()))


async def told(
    by: Serving, error: Exception, *, faults: Sequence[tuple[str, str, Any]] = ()
) -> tuple[str | None, Interaction]:
    """Return the sentence that an error becomes, and the interaction."""
    for method, path, fault in faults:
        by.fake.faults.add(method, path, fault)
    made, interaction = used(by)
    await reply_error(interaction, error)
    return (None if made.message is None else made.message.text()), made


def invoked(error: Exception) -> Exception:
    """Return an error as discord.py hands that of a command on."""
    command: Any = app_commands.Command(name="x", description="x", callback=_command)
    return app_commands.CommandInvokeError(command, error)


async def _command(interaction: discord.Interaction[Any]) -> None: ...


@pytest.mark.parametrize(
    ("error", "text", "level"),
    [
        (UserError("There is no {name}.", name="x"), "There is no x.", None),
        (invoked(UserError("No.")), "No.", None),
        (KeyError("x"), wording.BUG, "ERROR"),
        (http_error(400, 50035), wording.BUG, "ERROR"),  # a request of Easel's was wrong
        (http_error(429), wording.BUG, "WARNING"),
        (http_error(500), wording.BUG, "WARNING"),
        (http_error(499), wording.BUG, "ERROR"),
        (http_error(400, 20016), wording.BUG, "WARNING"),
        (discord.RateLimited(40), wording.BUG, "WARNING"),
        (aiohttp.ClientError(), wording.BUG, "WARNING"),
        (ConnectionResetError(), wording.BUG, "WARNING"),
        (TimeoutError(), wording.BUG, "WARNING"),
        (OSError(), wording.BUG, "ERROR"),
    ],
    ids=repr,
)
async def test_an_error_is_one_sentence_and_a_bug_is_an_error_in_the_log(
    by: Serving,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    text: str,
    level: str | None,
) -> None:
    caplog.set_level(logging.INFO, _replies.__name__)
    said, made = await told(by, error)

    assert said == text
    assert made.message is not None
    assert made.message.ephemeral_to is by.ada
    assert [each for each, _ in lines(caplog)] == ([level] if level else [])
    if level == "ERROR":
        (record,) = [each for each in caplog.records if each.name == _replies.__name__]
        assert record.getMessage() == f"interaction {made.id} failed"
        assert record.exc_info is not None


@pytest.mark.parametrize("code", [10062, 40060])
async def test_an_interaction_that_expired_gets_no_answer(
    by: Serving, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    said, made = await told(by, http_error(404, code))

    assert said is None
    assert by.sent("POST") == []
    assert lines(caplog) == [("WARNING", f"interaction {made.id} expired before the reply")]


@pytest.mark.parametrize("code", [10062, 40060])
async def test_a_reply_of_another_program_is_evidence_of_a_second_copy(
    by: Serving, code: int
) -> None:
    made, interaction = used(by)
    by.studio.copies.count_attempt(f"/interactions/{made.id}/token/callback")
    await reply_error(interaction, http_error(400, code))

    assert (by.studio.copies.last_seen is not None) is (code == 40060)


@pytest.mark.parametrize(
    ("answer", "silent"),
    [
        (Answer(404, {"code": 10015, "message": "Unknown Webhook"}), True),
        (Answer(404, "<html>", {"Content-Type": "text/html"}), True),
        (Answer(429, "<html>"), True),
        (Answer(200, "<html>"), True),
        (Answer(404, {"code": 10008, "message": "Unknown Message"}), False),
    ],
    ids=repr,
)
async def test_a_reply_in_doubt_is_followed_only_if_surely_none_arrived(
    by: Serving, caplog: pytest.LogCaptureFixture, answer: Answer, silent: bool
) -> None:
    said, made = await told(by, ReplyUnread("lost"), faults=[("GET", HOOKS, answer)])

    assert said == (None if silent else wording.BUG)
    ((level, line),) = lines(caplog)
    assert level == "WARNING"
    assert line.startswith(
        f"outcome of the reply to interaction {made.id} unknown: lost"
        if silent
        else f"request to Discord failed during interaction {made.id}: "
    )


async def test_a_form_in_doubt_is_not_looked_up(by: Serving) -> None:
    before = len(by.fake.requests)
    said, _ = await told(by, FormUnread("lost"))

    assert said is None
    assert len(by.fake.requests) == before


async def test_a_form_that_may_be_open_is_in_doubt(by: Serving) -> None:
    by.fake.faults.add("POST", CALLBACK, PAGE)
    _, interaction = used(by)
    modal: Any = discord.ui.Modal(title="x", custom_id="x")
    modal.add_item(discord.ui.Label(text="x", component=discord.ui.TextInput(custom_id="y")))
    with pytest.raises(FormUnread):
        await open_form(interaction, modal)


@pytest.mark.parametrize(("code", "silent"), [(10015, True), (10008, False)])
async def test_a_deferral_that_did_not_arrive_gets_no_answer(
    by: Serving, caplog: pytest.LogCaptureFixture, code: int, silent: bool
) -> None:
    made, interaction = used(by)
    interaction.extras[DEFERRED] = True
    await reply_error(interaction, http_error(404, code))

    assert len(by.sent("POST")) == (not silent)
    level, line = lines(caplog)[0]
    assert (line.startswith(f"deferral of interaction {made.id} did not arrive")) is silent
    assert level == ("WARNING" if silent else "ERROR")


async def test_an_unknown_webhook_without_a_deferral_in_doubt_is_an_error(by: Serving) -> None:
    said, _ = await told(by, http_error(404, 10015))

    assert said == wording.BUG


async def test_an_error_that_cannot_be_said_is_logged(
    by: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    refused = Answer(403, {"code": 50013, "message": "no"})
    said, made = await told(by, UserError("No."), faults=[("POST", CALLBACK, refused)])

    assert said is None
    ((level, line),) = lines(caplog)
    assert level == "WARNING"
    assert line.startswith(f"reply to interaction {made.id} failed: 403")


async def test_an_error_after_the_end_of_the_client_is_no_error(
    by: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, _replies.__name__)
    made, interaction = used(by)
    await by.client.close()
    await reply_error(interaction, KeyError("x"))

    assert lines(caplog) == [("INFO", f"interaction {made.id} ended with the shutdown")]
