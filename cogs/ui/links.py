"""Addresses of messages."""

from bot.jobs import Job


def result_link(job: Job) -> str | None:
    """Return the address of the message that shows a job's result; None if there is none."""
    if job.result_message_id is None:
        return None
    return message_link(job, job.result_channel or job.route.channel_id, job.result_message_id)


def message_link(job: Job, channel_id: int, message_id: int) -> str:
    guild = job.route.guild_id or job.route.account_server_id or "@me"
    return f"https://discord.com/channels/{guild}/{channel_id}/{message_id}"
