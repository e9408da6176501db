"""Search for a job's reply and for its result, so that neither is ever posted twice."""

import logging
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import datetime, timedelta

import discord
from discord.http import Route as HttpRoute

from bot.delivery import ReplyUnknown
from bot.jobs import Job
from cogs.delivery.error_codes import TOKEN_EXPIRED, UNKNOWN_WEBHOOK
from cogs.delivery.errors import is_from_discord, is_transient
from cogs.delivery.fallback import WEBHOOK_APPEARS
from cogs.ui.panel import cancel_id, small
from cogs.ui.result import mark

log = logging.getLogger(__name__)

SEARCHED = 200  # messages of a channel


async def find_result(
    client: discord.Client, channel: discord.abc.Messageable, job: Job
) -> int | None:
    """Return the message of an earlier attempt: one of the bot's, with the job's id."""
    async for message in own_messages(client, channel, job):
        if message.id != job.route.status_message_id and carries(message, job):
            return message.id
    return None


async def find_reply(client: discord.Client, job: Job, token: str, now: datetime) -> int | None:
    """Return the message that replied to the request; None if Discord knows of none.

    The webhook of the interaction may be unknown for some seconds although the reply arrived.
    """
    route = HttpRoute(
        "GET",
        "/webhooks/{application_id}/{interaction_token}/messages/@original",
        application_id=job.route.application_id,
        interaction_token=token,
    )
    try:
        message = await client.http.request(route)
    except discord.HTTPException as error:
        if error.code == TOKEN_EXPIRED:  # by Discord's clock
            return await search_reply(client, job)
        appears = error.code == UNKNOWN_WEBHOOK and now - job.created_at < WEBHOOK_APPEARS
        if error.status == 404 and is_from_discord(error) and not appears:
            return None
        raise
    if cancel_id(job.id) not in strings_of(message["components"]):
        return None  # another reply to the same interaction, such as a refusal
    return int(message["id"])


async def search_reply(client: discord.Client, job: Job) -> int | None:
    """Return the status message without a token, found by its button.

    None if a message made the request, and the bot has surely not posted one. ReplyUnknown if only
    the member sees the reply, or if the channel does not show it.
    """
    if not job.outlives_token:
        raise ReplyUnknown
    channel, seen = client.get_partial_messageable(job.route.channel_id), 0
    try:
        async for message in channel.history(limit=SEARCHED, after=_since(job)):
            seen += 1
            for component in message.components if _is_own(client, message) else ():
                if cancel_id(job.id) in strings_of(component.to_dict()):
                    return message.id
    except discord.HTTPException as error:
        if is_transient(error):
            raise
        log.info("channel cannot be searched for the reply: %s", error)
        raise ReplyUnknown from error
    # A reply to an interaction that is not there any more may have been deleted.
    if job.of_message and seen < SEARCHED:
        return None
    raise ReplyUnknown


async def own_messages(
    client: discord.Client, channel: discord.abc.Messageable, job: Job
) -> AsyncIterator[discord.Message]:
    """Yield the bot's own messages since the request, or since an overdue end."""
    async for message in channel.history(limit=SEARCHED, after=_since(job)):
        if _is_own(client, message):
            yield message


def _since(job: Job) -> discord.Object | datetime:
    """Return the point in a channel after which the job's messages are."""
    if job.overdue_at:  # an earlier message may show pictures that came in time
        return job.overdue_at - timedelta(minutes=1)  # the clocks may differ
    # Ids have Discord's time, also for other channels.
    if job.route.status_message_id:
        return discord.Object(job.route.status_message_id)
    if job.of_message and job.origin_id:
        return discord.Object(job.origin_id)
    return job.created_at


def _is_own(client: discord.Client, message: discord.Message) -> bool:
    return client.user is not None and message.author.id == client.user.id


def carries(message: discord.Message, job: Job) -> bool:
    """Return whether one of the bot's messages is the job's result.

    Recognised by the id of a component: a secret of the job, since its id is public and a prompt
    may hold any text. A result of a version without secrets is recognised by the names of its
    files, and by a small line, which no prompt can begin. An overdue result follows a message of
    failure with such a line, and has another one.
    """
    parts = [part for component in message.components for part in _parts_of(component.to_dict())]
    if job.result_mark is not None:
        return any(part.get("id") == job.result_mark for part in parts)
    file = re.compile(rf"/easel-{job.id}-\d+\.")  # not an input's copy
    for part in parts:
        text = str(part.get("content", ""))
        if text.startswith(small("")) and text.endswith(mark(job)):
            return True
        if file.search(str(part.get("url", ""))):
            return True
    return False


def strings_of(node: object) -> Iterator[str]:
    """Yield every address, text and custom_id in the dictionary of a component."""
    for part in _parts_of(node):
        yield from (str(part[key]) for key in ("url", "content", "custom_id") if key in part)


def _parts_of(node: object) -> Iterator[Mapping[str, object]]:
    """Yield the dictionary of a component, and every dictionary in it."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from _parts_of(each)
