"""The meaning of an error of Discord for a delivery, and the words that are stored of it."""

import errno
from pathlib import Path
from typing import Any

import aiohttp
import discord
import pytest
from discord import ui

from bot.delivery import NotDelivered
from bot.jobs import Job
from cogs.delivery import errors
from cogs.delivery.error_codes import Meaning
from cogs.delivery.errors import (
    failure_of,
    hidden_by,
    hiding_prompt,
    is_from_discord,
    is_transient,
    may_be_executed,
    meaning_of,
    message_of,
    raising_not_delivered,
)
from cogs.delivery.fallback import Attempts, DestinationName
from cogs.delivery.messages import Message
from cogs.delivery.refusals import Filtered, Refused, TooLarge, permanent
from cogs.delivery.uploads import Upload, Uploads
from cogs.ui.wording import HiddenPrompt, Refusal
from tests.support.discord_objects import http_error, job_of

CHANNEL, REPLY = DestinationName.CHANNEL, DestinationName.REPLY
PAGE = "text/html"


def message(largest: int = 0, *, hidden: bool = False) -> Message:
    uploads = Uploads((Upload("a.png", Path(), largest), Upload("b.png", Path(), 1)))
    return Message(ui.LayoutView(), uploads, hidden=hidden)


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (TimeoutError(), Meaning.RETRY),
        (ValueError(), Meaning.RETRY),
        (discord.RateLimited(40), Meaning.RETRY),
        (http_error(413, kind=PAGE), Meaning.SMALLER),  # also of a proxy
        (http_error(413, 50035), Meaning.SMALLER),
        (http_error(500, 50013), Meaning.RETRY),
        (http_error(499, 50013), Meaning.NEXT),
        (http_error(403, kind=PAGE), Meaning.RETRY),
        (http_error(404, 10003), Meaning.NEXT),
        (http_error(400, 20016), Meaning.RETRY),
        (http_error(400, 50035), Meaning.TEXT),
        (http_error(400, 200000), Meaning.HIDE_PROMPT),
        (http_error(401), Meaning.RETRY),
        (http_error(429), Meaning.RETRY),
        (http_error(401, 50027), Meaning.NEXT),  # the interaction's token
        (http_error(400), Meaning.NEXT),
    ],
    ids=repr,
)
def test_an_error_has_one_meaning_for_a_destination(error: Exception, meaning: Meaning) -> None:
    assert meaning_of(error, CHANNEL) is meaning
    assert is_transient(error) is (meaning is Meaning.RETRY)


def test_an_unknown_webhook_is_waited_for_only_where_it_may_appear() -> None:
    unknown = http_error(404, 10015)

    assert meaning_of(unknown, REPLY) is Meaning.RETRY_BRIEFLY
    assert meaning_of(unknown, DestinationName.FOLLOW_UP) is Meaning.RETRY_BRIEFLY
    assert meaning_of(unknown, CHANNEL) is Meaning.NEXT
    assert not is_transient(unknown)


@pytest.mark.parametrize(
    ("error", "executed"),
    [
        (discord.RateLimited(40), False),
        (TimeoutError(), True),
        (ConnectionResetError(), True),
        (http_error(499), False),
        (http_error(500), True),
        (http_error(403, 50013), False),
        (http_error(403, kind=PAGE), True),  # a proxy may have sent the request on
        (http_error(429, kind=PAGE), False),
    ],
    ids=repr,
)
def test_only_an_error_after_which_a_request_may_be_executed_leaves_a_doubt(
    error: Exception, executed: bool
) -> None:
    assert may_be_executed(error) is executed


def test_an_answer_is_discords_if_it_is_json_and_says_something() -> None:
    assert is_from_discord(http_error(400, 50035, ""))
    assert is_from_discord(http_error(401, 0, "401: Unauthorized"))
    assert is_from_discord(http_error(400, kind="application/json; charset=utf-8"))
    assert not is_from_discord(http_error(400, 0, ""))
    assert not is_from_discord(http_error(400, 50035, kind=PAGE))


def test_a_prompt_is_hidden_after_the_codes_of_discord_alone() -> None:
    assert hidden_by(http_error(400, 200000)) == HiddenPrompt.AUTOMOD
    assert hidden_by(http_error(400, 240000)) == HiddenPrompt.LINKS
    assert hidden_by(http_error(400, 50035)) == ""
    assert hidden_by(http_error(400, 200000, kind=PAGE)) == ""
    assert hidden_by(TimeoutError()) == ""


async def test_a_refused_prompt_is_sent_once_more_without_its_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", errors.__name__)
    sent: list[str] = []

    async def send(shown: Job) -> int:
        sent.append(shown.request.prompt)
        if len(sent) == 1:
            raise http_error(400, 200000)
        return 7

    assert await hiding_prompt(job_of(), send) == 7
    assert sent[0] == "a fox"
    assert "fox" not in sent[1]
    assert [each.getMessage() for each in caplog.records] == [
        "Discord refuses the words of the prompt, hiding them"
    ]


@pytest.mark.parametrize("first", [http_error(403, 50013), http_error(400, 200000)], ids=repr)
async def test_other_refusals_and_a_second_one_of_the_prompt_are_raised(
    first: discord.HTTPException,
) -> None:
    sent = 0

    async def send(_: Job) -> None:
        nonlocal sent
        sent += 1
        raise first

    with pytest.raises(discord.HTTPException):
        await hiding_prompt(job_of(), send)
    assert sent == (2 if first.code == 200000 else 1)


def test_the_words_of_discord_are_quoted_without_codes_and_further_lines() -> None:
    assert message_of(http_error(403, 50013, " Missing Permissions\nmore")) == (
        "Missing Permissions"
    )
    assert message_of(http_error(400, 1, "x" * 200)) == "x" * 200
    assert message_of(http_error(400, 1, "x" * 201)) == "x" * 200
    assert message_of(http_error(400, 1, "")) == Refusal.NO_REASON
    assert message_of(http_error(403, 1, "<html>", kind=PAGE)) == Refusal.NO_CLEAR_ANSWER
    assert message_of(TimeoutError()) == Refusal.NO_CLEAR_ANSWER


@pytest.mark.parametrize(
    ("error", "reason", "wait"),
    [
        (http_error(503), "DiscordServerError: 503", None),
        (discord.RateLimited(42.5), "rate limited", 42.5),
        (http_error(429, 0, "slow", headers={"Retry-After": "7"}), "429 0: slow", 7.0),
        (http_error(403, 40003, "too fast"), "403 40003: too fast", 60.0),
        (http_error(403, 40003, headers={"Retry-After": "5"}), "403 40003: no", 5.0),
        (http_error(403, 50013, "no"), "403 50013: no", None),
        (TimeoutError(), "TimeoutError", None),
    ],
    ids=repr,
)
def test_a_failure_says_when_a_repeat_may_succeed(
    error: Exception, reason: str, wait: float | None
) -> None:
    with pytest.raises(NotDelivered) as raised, raising_not_delivered():
        raise error

    assert str(raised.value).startswith(reason)
    assert raised.value.retry_after == wait


@pytest.mark.parametrize("error", [KeyError("id"), AttributeError(), TypeError(), ValueError()])
def test_an_answer_that_cannot_be_read_is_a_failure_only_where_that_is_asked_for(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(type(error)), raising_not_delivered():
        raise error
    assert caplog.records == []

    with pytest.raises(NotDelivered) as raised, raising_not_delivered(unreadable=True):
        raise error
    assert str(raised.value) == type(error).__name__
    (line,) = caplog.records
    assert (line.levelname, line.getMessage()) == ("WARNING", "answer of Discord cannot be read")
    assert line.exc_info is not None
    assert line.exc_info[1] is error
    assert line.exc_info is not None


def test_a_failure_is_named_without_the_texts_of_a_library() -> None:
    number = errno.ECONNREFUSED

    assert failure_of(ConnectionRefusedError(number, "of http://u:p@x")) == (
        "ConnectionRefusedError: Connection refused"
    )
    assert failure_of(OSError(-3, "Temporary failure in name resolution")) == "OSError"
    assert failure_of(aiohttp.ServerDisconnectedError("secret")) == "ServerDisconnectedError"
    assert "50013" in failure_of(http_error(403, 50013))


def refusal(
    meaning: Meaning, sent: Message, name: DestinationName = CHANNEL, code: int = 200000
) -> tuple[Any, Attempts]:
    attempts = Attempts()
    return permanent(name, sent, http_error(400, code, "No."), meaning, attempts), attempts


def test_an_upload_is_shrunk_while_its_size_may_be_the_reason() -> None:
    above, attempts = refusal(Meaning.SMALLER, message(16 * 1024 + 1))
    assert isinstance(above, TooLarge)
    assert attempts.text_accepted == set()

    at_most, attempts = refusal(Meaning.SMALLER, message(16 * 1024))
    assert isinstance(at_most, Refused)
    assert attempts.text_accepted == {CHANNEL}


def test_a_prompt_is_hidden_once() -> None:
    first, attempts = refusal(Meaning.HIDE_PROMPT, message())
    assert isinstance(first, Filtered)
    assert attempts.instead == HiddenPrompt.AUTOMOD
    assert attempts.text_accepted == set()

    second, attempts = refusal(Meaning.HIDE_PROMPT, message(hidden=True))
    assert isinstance(second, Refused)
    assert attempts.instead == ""
    assert attempts.text_accepted == {CHANNEL}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (CHANNEL, Refusal.CHANNEL),
        (REPLY, Refusal.REPLY),
        (DestinationName.FOLLOW_UP, Refusal.FOLLOW_UP),
        (DestinationName.PARENT_CHANNEL, Refusal.PARENT_CHANNEL),
        (DestinationName.DIRECT_MESSAGE, Refusal.DIRECT_MESSAGE),
    ],
)
def test_a_refused_destination_is_named_with_the_answer(
    name: DestinationName, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "cogs.delivery.refusals")
    closed, attempts = refusal(Meaning.NEXT, message(10**6), name, 50013)

    assert isinstance(closed, Refused)
    assert str(closed) == text.format(answer="No.")
    assert attempts.text_accepted == set()
    assert caplog.messages[0].startswith(f"destination {name} refused: ")

    files, attempts = refusal(Meaning.TEXT, message(10**6), name, 50035)
    assert isinstance(files, Refused)
    assert attempts.text_accepted == {name}
