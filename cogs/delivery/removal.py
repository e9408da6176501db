"""Delete the messages of a job whose requester wants all data deleted."""

import logging
from collections.abc import Iterator

import discord

from bot.jobs import Job
from bot.rest_pace import GaveWay, Rank, ranked
from cogs.delivery import timeouts
from cogs.delivery.errors import DELIVERY_ERRORS, failure_of, is_transient

log = logging.getLogger(__name__)


async def remove_messages(client: discord.Client, job: Job) -> None:
    """Delete the result and the status message, as far as the bot reaches them.

    A message that is gone, or that Discord does not let the bot delete, is done with. Raises one
    of DELIVERY_ERRORS if the same request may succeed later.
    """
    for channel_id, message_id in _messages(job):
        try:
            with ranked(Rank.STATUS):  # there may be thousands, and nobody waits for them
                async with timeouts.within(client, timeouts.QUERY_TIMEOUT):
                    await client.http.delete_message(channel_id, message_id)
        except GaveWay as error:
            raise TimeoutError(str(error)) from None
        except discord.NotFound:
            continue
        except DELIVERY_ERRORS as error:
            if is_transient(error):
                raise
            log.info("message %s not deleted: %s", message_id, failure_of(error))


def _messages(job: Job) -> Iterator[tuple[int, int]]:
    """Yield the channels and ids of the job's messages in channels."""
    if job.result_message_id is not None and job.result_channel:
        yield job.result_channel, job.result_message_id
    status = job.route.status_message_id
    if status not in {None, job.result_message_id} and job.outlives_token:
        yield job.route.channel_id, int(status or 0)
