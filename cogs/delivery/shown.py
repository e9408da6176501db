"""Changes to the message that shows a result: its pictures hidden, its removal, a thread.

Each refusal of Discord becomes one sentence for the member who pressed the button.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import discord
from discord.http import Route as HttpRoute

from bot.errors import UserError
from bot.jobs import Job
from cogs._replies import REFUSED, UNKNOWN_OUTCOME
from cogs.delivery import timeouts
from cogs.delivery.error_codes import TOKEN_EXPIRED, UNKNOWN_WEBHOOK, Meaning
from cogs.delivery.errors import failure_of, hidden_by, is_from_discord, meaning_of, message_of
from cogs.delivery.galleries import edit_by_addresses, edit_by_names, has_pictures
from cogs.ui.wording import Permission

log = logging.getLogger(__name__)

UNKNOWN_MESSAGE: Final = 10008
THREAD_EXISTS: Final = 160004
# Also UNFURLED_MEDIA_ITEM_REFERENCED_ATTACHMENT_NOT_FOUND, of which discord.py shows no code.
INVALID_BODY: Final = 50035
LOST_ACCESS: Final = {10003, 10004, 50001, 50013}


class PressMoreAgain(UserError):
    def __init__(self) -> None:
        super().__init__(
            "The bot can no longer change this message from here. Press More under the result "
            "again."
        )


class MessageGone(UserError):
    def __init__(self) -> None:
        super().__init__(
            "The message of this result was deleted. Its requester still has the pictures by /show."
        )


class AccessLost(UserError):
    def __init__(self, permissions: Sequence[str]) -> None:
        super().__init__(
            "The bot may no longer do that in this channel. Ask a moderator to give the bot these "
            "permissions: {permissions}.",
            permissions=tuple(permissions),
        )


class Unanswered(UserError):
    def __init__(self) -> None:
        super().__init__("Discord does not answer at the moment. Try again in a minute.")


class ChangeRefused(UserError):
    def __init__(self, answer: str) -> None:
        super().__init__(
            "Discord refused the change with “{answer}”. Ask a moderator of this server.",
            answer=answer,
        )


class NothingToHide(UserError):
    def __init__(self) -> None:
        super().__init__("This result shows no picture that could be hidden.")


@dataclass(frozen=True, slots=True)
class Place:
    """The message that shows a result.

    One of the bot's own messages in a channel; with a token, the message of the press that has the
    token. `certain` is false if the result may be elsewhere.
    """

    channel_id: int
    message_id: int
    application_id: int = 0
    token: str | None = field(default=None, repr=False)
    certain: bool = True

    def request(self, method: str) -> HttpRoute:
        if self.token is None:
            return HttpRoute(
                method,
                "/channels/{channel_id}/messages/{message_id}",
                channel_id=self.channel_id,
                message_id=self.message_id,
            )
        return HttpRoute(
            method,
            "/webhooks/{application_id}/{interaction_token}/messages/@original",
            application_id=self.application_id,
            interaction_token=self.token,
        )


async def set_spoiler(client: discord.Client, place: Place, *, spoiler: bool) -> None:
    """Hide the pictures of a result until a click, or show them again. Raises a UserError."""
    with explained(place, Permission.VIEW, Permission.READ_HISTORY):
        async with timeouts.within(client, timeouts.QUERY_TIMEOUT):
            message = await client.http.request(place.request("GET"))
        components = message.get("components", ()) if isinstance(message, dict) else ()
        if not has_pictures(components):
            raise NothingToHide
        try:
            await _edit(client, place, edit_by_names(components, spoiler=spoiler))
        except discord.HTTPException as error:
            if error.code != INVALID_BODY:
                raise
            log.info("edit of a gallery refused by file names, using addresses: %s", error)
            await _edit(client, place, edit_by_addresses(components, spoiler=spoiler))


async def _edit(client: discord.Client, place: Place, body: Mapping[str, Any]) -> None:
    async with timeouts.within(client, timeouts.QUERY_TIMEOUT):
        await client.http.request(place.request("PATCH"), json=body)


async def remove(client: discord.Client, place: Place) -> None:
    """Delete the message of a result; one that is gone already is a success. UserError."""
    with explained(place, Permission.VIEW):
        try:
            async with timeouts.within(client, timeouts.QUERY_TIMEOUT):
                await client.http.request(place.request("DELETE"))
        except discord.HTTPException as error:
            if error.code != UNKNOWN_MESSAGE or not place.certain:
                raise


async def remove_status(client: discord.Client, job: Job) -> None:
    """Delete the status message of a job, if one is left and the bot can reach it."""
    message_id = job.route.status_message_id
    if message_id in {None, job.result_message_id} or not job.outlives_token:
        return
    channel = client.get_partial_messageable(job.route.channel_id)
    try:
        async with timeouts.within(client, timeouts.SHOW_TIMEOUT):
            await channel.get_partial_message(int(message_id or 0)).delete()
    except discord.NotFound:  # the usual case: the delivery has deleted the message
        pass
    except (*REFUSED, *UNKNOWN_OUTCOME) as error:
        log.info("status message of a deleted result not deleted: %s", failure_of(error))


async def open_thread(
    client: discord.Client, place: Place, name: str, *, instead: str
) -> tuple[int, bool]:
    """Open a public thread at a result; return its id, and whether the thread is new.

    `instead` is the name if AutoMod refuses the words of the first one. Raises a UserError.
    """
    with explained(place, Permission.VIEW, Permission.CREATE_THREADS):
        try:
            await _open_thread(client, place, name)
        except discord.HTTPException as error:
            if error.code == THREAD_EXISTS:
                return place.message_id, False
            if not hidden_by(error):
                raise
            await _open_thread(client, place, instead)
    return place.message_id, True  # a thread at a message has the id of the message


async def _open_thread(client: discord.Client, place: Place, name: str) -> None:
    route = HttpRoute(
        "POST",
        "/channels/{channel_id}/messages/{message_id}/threads",
        channel_id=place.channel_id,
        message_id=place.message_id,
    )
    async with timeouts.within(client, timeouts.QUERY_TIMEOUT):
        await client.http.request(route, json={"name": name})


@contextmanager
def explained(place: Place, *permissions: str) -> Iterator[None]:
    """Raise a UserError in place of an error of discord.py.

    `permissions` are those which the bot needs, by Discord's names.
    """
    try:
        yield
    except (*REFUSED, *UNKNOWN_OUTCOME) as error:
        log.info("change of a result failed: %s", failure_of(error))
        raise _explain(error, place, permissions) from error


def _explain(error: Exception, place: Place, permissions: Sequence[str]) -> UserError:
    if not isinstance(error, discord.HTTPException) or not is_from_discord(error):
        return Unanswered()
    if place.token is not None and error.code in {TOKEN_EXPIRED, UNKNOWN_WEBHOOK}:
        return PressMoreAgain()
    if error.code == UNKNOWN_MESSAGE:
        return MessageGone() if place.certain else PressMoreAgain()
    if error.code in LOST_ACCESS:
        return AccessLost(permissions)
    if meaning_of(error) is Meaning.RETRY:
        return Unanswered()
    return ChangeRefused(message_of(error))
