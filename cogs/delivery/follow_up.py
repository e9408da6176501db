"""Follow-ups to an interaction by its stored token, which outlives a restart."""

import io
from collections.abc import Mapping
from typing import Any

import discord
from discord.http import Route as HttpRoute
from discord.http import handle_message_parameters

from bot.jobs import Job
from cogs.delivery.messages import Message


class NotRepeated(OSError):
    """A follow-up has failed in such a manner that discord.py would send it again."""


class _Once(discord.File):
    """An empty file that is never uploaded, and ends a request before discord.py repeats it.

    discord.py rewinds the files of a request before each try.
    """

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), "once")

    def reset(self, *, seek: int | bool = True) -> None:
        if seek:
            raise NotRepeated("a follow-up is not sent twice")


async def follow_up(
    client: discord.Client, job: Job, token: str, message: Message, *, once: bool = False
) -> Mapping[str, Any]:
    """Send a message that only the requester sees; return Discord's description of the message.

    A follow-up has no nonce, so that a repeat after an unknown outcome may double the message. With
    `once`, discord.py makes a single attempt.
    """
    route = HttpRoute(
        "POST",
        "/webhooks/{application_id}/{interaction_token}",
        application_id=job.route.application_id,
        interaction_token=token,
    )
    with (
        message.uploads.opened() as files,
        handle_message_parameters(
            view=message.view,
            files=files,
            flags=discord.MessageFlags(ephemeral=True, components_v2=True),
            allowed_mentions=discord.AllowedMentions.none(),
        ) as parameters,
    ):
        rewound = [*(parameters.files or ()), *([_Once()] if once else ())]
        body = (
            {"form": parameters.multipart} if parameters.multipart else {"json": parameters.payload}
        )
        shown: Mapping[str, Any] = await client.http.request(
            route, files=rewound, params={"wait": "true"}, **body
        )
    return shown
