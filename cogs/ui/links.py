"""Addresses of messages."""

from bot.jobs import Job


def result_link(job: Job) -> str | None:
    """Return the address of the message that shows a job's result.

    None if there is none, or if only the requester saw the message.
    """
    if job.result_message_id is None or not job.result_channel:
        return None
    return message_link(job, job.result_channel, job.result_message_id)


def message_link(job: Job, channel_id: int, message_id: int) -> str:
    """Return the address of a job's message in a channel: of the request, or direct messages."""
    route = job.route
    here = channel_id in {route.channel_id, route.parent_id}
    guild = (route.guild_id or route.account_server_id) if here else 0
    return f"https://discord.com/channels/{guild or '@me'}/{channel_id}/{message_id}"
