"""Follow-ups to an interaction by its stored token, which outlives a restart."""

from collections.abc import Mapping
from typing import Any

import discord
from discord.http import Route as HttpRoute
from discord.http import handle_message_parameters

from bot.jobs import Job
from cogs.delivery.messages import Message


async def follow_up(
    client: discord.Client, job: Job, token: str, message: Message
) -> Mapping[str, Any]:
    """Send a message that only the requester sees; return the message as Discord shows it.

    A follow-up has no nonce: an attempt that is repeated after an unknown outcome may double it.
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
        shown: Mapping[str, Any] = await client.http.request(
            route, files=parameters.files, form=parameters.multipart, params={"wait": "true"}
        )
    return shown
