"""The request for a picture, as /imagine, /edit and the message menu make one."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import discord
from discord import ui

from bot.errors import NotNow, UserError
from bot.jobs import Attachment, Job, Option, Route
from bot.observability.logs import bind, hide
from bot.studio import AlreadyRequested, Studio
from bot.studio.requests import PictureRequest
from cogs._notices import post_notices
from cogs._replies import (
    ALREADY_REPLIED,
    REPLY_TIMEOUT,
    UNKNOWN_OUTCOME,
    UNREADABLE,
)
from cogs._warnings import warn_member
from cogs.delivery.errors import hidden_by, hiding_prompt, is_transient
from cogs.delivery.route import member_of, missing_permissions, route_of
from cogs.ui.status import status_view

log = logging.getLogger(__name__)


class RefusedByAutoMod(UserError):
    def __init__(self) -> None:
        super().__init__(
            "This server's AutoMod does not let the bot reply here. Choose other words, or ask a "
            "moderator to exempt the bot from AutoMod."
        )


async def request_job(
    interaction: discord.Interaction[Any],
    studio: Studio,
    *,
    prompt: str,
    options: Mapping[str, Option],
    model: str | None,
    inputs: Sequence[Attachment] = (),
    private: bool | None = None,
    source_job_id: str | None = None,
) -> None:
    """Request a job of the studio, then reply with the status message.

    Nothing is deferred, so that a refusal can be private. The worker claims the job only after
    Discord has confirmed the reply. `private` is None if the member has not said that, so that the
    choice of `/my notify` decides.
    """
    hide(prompt, str(options.get("negative_prompt", "")))
    lacking = missing_permissions(interaction)
    try:
        with studio.precedence.command():
            route = await _route(interaction, studio, lacking, private)
        held = await studio.requests.create(
            member_of(interaction),
            route,
            PictureRequest(
                *(interaction.id, prompt, options, inputs, model, source_job_id),
                locale=str(interaction.locale),
            ),
        )
    except AlreadyRequested:
        log.warning("interaction %s arrived twice: its job exists already", interaction.id)
        return
    job = held.job
    bind(job=job.id)
    spec = studio.catalog.about(job.request.model)
    down = studio.health.has_outage(job.provider)

    def shown(as_job: Job) -> ui.LayoutView:
        return status_view(as_job, spec, lacking=lacking, down=down)

    try:
        if await _reply(interaction, studio, job, shown):
            await warn_member(interaction, held)
    finally:  # each warning is given once, also if the reply was refused
        await post_notices(interaction.client, held)


async def _route(
    interaction: discord.Interaction[Any],
    studio: Studio,
    lacking: Sequence[str],
    private: bool | None,
) -> Route:
    """Return the route of a request, by the member's own choice where the command has none."""
    received = studio.now()  # the token's life begins before the choice is read
    notify = await studio.preferences.notify_of(interaction.user.id)
    return route_of(interaction, received, lacking=lacking, private=private, notify=notify)


async def _reply(
    interaction: discord.Interaction[Any],
    studio: Studio,
    job: Job,
    view: Callable[[Job], ui.LayoutView],
) -> bool:
    """Show the stored job, then confirm or withdraw it by the outcome of the reply.

    Return whether the reply has surely arrived.
    If that outcome is unknown or cannot be stored, the worker queries Discord later. No error is
    shown then: a job whose reply arrived goes on and costs credits, and after a refused reply a
    message about an error would be taken for the job's reply.
    """
    try:
        reply = await hiding_prompt(job, lambda shown: _send(interaction, shown, view(shown)))
    except (*UNKNOWN_OUTCOME, *UNREADABLE) as error:
        log.warning("outcome of a reply unknown, will look it up: %r", error)
        return False
    except discord.HTTPException as error:
        # discord.py repeats the request after a 5xx; this refusal may concern the repeated one.
        elsewhere = error.code == ALREADY_REPLIED and studio.copies.replied_elsewhere(
            interaction.id
        )
        if not elsewhere and (error.code == ALREADY_REPLIED or is_transient(error)):
            log.warning("outcome of a reply unknown, will look it up: %r", error)
            return False
        try:
            await studio.requests.withdraw(job.id)
        except NotNow:
            log.warning("could not store the outcome of a reply, will look it up")
            return False
        if hidden_by(error):
            raise RefusedByAutoMod from error
        raise
    if reply.message_id is not None:
        try:
            await studio.requests.confirm(job.id, reply.message_id)
        except NotNow:
            log.warning("could not store the outcome of a reply, will look it up")
    return True


async def _send(
    interaction: discord.Interaction[Any], job: Job, view: ui.LayoutView
) -> discord.InteractionCallbackResponse[Any]:
    async with asyncio.timeout(REPLY_TIMEOUT):
        return await interaction.response.send_message(
            view=view,
            allowed_mentions=discord.AllowedMentions.none(),
            ephemeral=job.route.private,
        )
