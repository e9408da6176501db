"""Which of our messages is a job's answer, and which its result: it is never posted twice."""

import logging
import re
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta

import discord
from discord.http import Route as HttpRoute

from bot.delivery import AnswerLost
from bot.jobs import Job
from cogs.buttons import cancel_id
from cogs.delivery.errors import TOKEN_EXPIRED, is_discords_word, is_passing
from cogs.ui.result import mark

log = logging.getLogger(__name__)

CLOCKS_APART = timedelta(minutes=1)  # Discord's and ours, at most
SEARCHED = 200  # messages since the request that may carry the result


async def find_result(
    client: discord.Client, channel: discord.abc.Messageable, job: Job
) -> int | None:
    """What an earlier try posted: a message of ours, since the request, with the job's id."""
    async for message in messages_since(client, channel, job):
        if message.id != job.route.status_message_id and carries(message, job):
            return message.id
    return None


async def ask_for_answer(client: discord.Client, job: Job, token: str) -> int | None:
    """The message that answered the request; None where Discord knows that there is none."""
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
            return await search_answer(client, job)
        if error.status == 404 and is_discords_word(error):
            return None
        raise
    return int(message["id"])


async def search_answer(client: discord.Client, job: Job) -> int:
    """The same without a token, by the button under it: AnswerLost where only its member sees it,
    or where it is not to be found."""
    if job.route.outlives_token:
        channel = client.get_partial_messageable(job.route.channel_id)
        try:
            async for message in messages_since(client, channel, job):
                for component in message.components:
                    if cancel_id(job.id) in strings_of(component.to_dict()):
                        return message.id
        except discord.HTTPException as error:
            if is_passing(error):
                raise
            log.info("the channel cannot be searched: %s", error)
    raise AnswerLost


async def messages_since(
    client: discord.Client, channel: discord.abc.Messageable, job: Job
) -> AsyncIterator[discord.Message]:
    """Our own since a job was asked for."""
    after: discord.Object | datetime = job.created_at
    if job.overdue_at:  # what was shown in time has pictures of its own
        after = job.overdue_at - CLOCKS_APART
    elif job.route.status_message_id and not job.route.private:
        after = discord.Object(job.route.status_message_id)
    async for message in channel.history(limit=SEARCHED, after=after):
        if client.user is not None and message.author.id == client.user.id:
            yield message


def carries(message: discord.Message, job: Job) -> bool:
    """Whether a message of ours is this job's result: by its files' names, or its small line.

    A prompt cannot forge either: its dashes are escaped, and it never starts a small line. What
    comes late follows a failure with such a line, so that its own is another.
    """
    file = re.compile(rf"/easel-{job.id}-\d+\.")  # not one of its inputs
    return any(
        file.search(text) or text.endswith(mark(job))
        for component in message.components
        for text in strings_of(component.to_dict())
    )


def strings_of(node: object) -> Iterator[str]:
    """Every address, text and id of a button in a component, as its dictionary has it."""
    if isinstance(node, dict):
        yield from (str(node[key]) for key in ("url", "content", "custom_id") if key in node)
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from strings_of(each)
