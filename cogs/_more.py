"""The button *More* under a result, and the buttons of the private menu that it opens."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import discord
from discord import ui

from bot.errors import UserError
from bot.jobs import Job
from bot.observability.logs import bind, hide
from bot.quotas import Member
from bot.studio import Studio
from bot.studio.menu import Menu, NotPosted, expanded_prompt
from bot.studio.results import check_prompt
from cogs._forms import open_form
from cogs._originals import follow_up, send_originals
from cogs._replies import (
    REFUSED,
    REPLY_TIMEOUT,
    UNKNOWN_OUTCOME,
    defer,
    first_reply,
    has_replied,
    menu_tokens_of,
    reply_privately,
    studio_of,
)
from cogs._results import job_of_press
from cogs.delivery import shown, timeouts
from cogs.delivery.errors import failure_of
from cogs.delivery.route import is_present, member_of
from cogs.delivery.shown import Place, PressMoreAgain
from cogs.ui import more
from cogs.ui.actions import result_row
from cogs.ui.forms import remix_form
from cogs.ui.panel import notice, panel
from cogs.ui.recipe import recipe_view
from cogs.ui.wording import More

log = logging.getLogger(__name__)

Press = discord.Interaction[Any]
Match = re.Match[str]
Handler = Callable[[Press, Match, Sequence[str]], Awaitable[None]]

THREADED = {discord.ChannelType.text, discord.ChannelType.news}  # channels that may have threads


class MemberLacksThreads(UserError):
    def __init__(self) -> None:
        super().__init__(
            "You may not open threads in this channel. Ask a moderator for the permission Create "
            "Public Threads."
        )


class PrivateThread(UserError):
    def __init__(self) -> None:
        super().__init__(
            "This result is private or deleted, and a thread would be public. Request the picture "
            "again without private."
        )


class NoThreadHere(UserError):
    def __init__(self) -> None:
        super().__init__(
            "No thread can be opened at this result. Go to the result in a text channel of a "
            "server, and press More there."
        )


async def open_menu(interaction: Press, match: Match, _: Sequence[str]) -> None:
    """Show the private menu of a result.

    Where only the token of this press reaches the result, the token is held for the menu.
    """
    studio, job = await job_of_press(interaction, match)
    _hide(job)
    menu = await studio.menus.see(*_acting(interaction), job.id)
    view = _menu_view(interaction, studio, menu)
    source = interaction.message
    if source is None or (is_present(interaction) and not source.flags.ephemeral):
        await reply_privately(interaction, view)
        return
    await defer(interaction, thinking=False)
    tokens, member_id = menu_tokens_of(interaction), interaction.user.id
    tokens.add(member_id, source.id, interaction.application_id, interaction.token)
    await follow_up(interaction, view)


async def show_menu(interaction: Press, match: Match, _: Sequence[str]) -> None:
    """Show the menu in place of a page, or that of the parent."""
    studio = _studio_for(interaction, match)
    menu = await studio.menus.see(*_acting(interaction), match["job"])
    _hide(menu.job)
    await _show(interaction, menu.job, _menu_view(interaction, studio, menu))


async def show_recipe(interaction: Press, match: Match, _: Sequence[str]) -> None:
    """Show everything that repeats the request."""
    studio = _studio_for(interaction, match)
    job = (await studio.menus.see(*_acting(interaction), match["job"])).job
    check_prompt(job)
    _hide(job)
    view = recipe_view(job, studio.catalog.about(job.request.model))
    view.add_item(more.back_row(job))
    await _show(interaction, job, view)


async def mark_favourite(interaction: Press, match: Match, _: Sequence[str]) -> None:
    """Make a job a favourite of the member who presses, or remove it from the favourites."""
    studio = _studio_for(interaction, match)
    member, channel_id = _acting(interaction)
    if match["on"] == "on":
        menu = await studio.menus.add_favourite(member, channel_id, match["job"])
    else:
        removed = await studio.menus.remove_favourite(member, channel_id, match["job"])
        if removed is None:
            await reply_privately(interaction, notice(More.FAVOURITE_GONE))
            return
        menu = removed
    _hide(menu.job)
    await _show(interaction, menu.job, _menu_view(interaction, studio, menu))


async def show_originals(interaction: Press, match: Match, _: Sequence[str]) -> None:
    """Send the stored pictures as they are, to the member alone."""
    studio = _studio_for(interaction, match)
    member, channel_id = _acting(interaction)
    with studio.jobs.uploading(member.user_id):
        pictures = await studio.menus.originals(member, channel_id, match["job"])
        job = (await studio.menus.see(member, channel_id, match["job"])).job
        _hide(job)
        await defer(interaction)
        await send_originals(interaction, studio, job, pictures)


async def mark_spoiler(interaction: Press, match: Match, _: Sequence[str]) -> None:
    """Hide the pictures of the result until a click, or show them again."""
    studio = _studio_for(interaction, match)
    member, channel_id = _acting(interaction)
    job = await studio.menus.change(member, channel_id, match["job"])
    _hide(job)
    place = _place_of(interaction, job)
    if place is None:
        raise shown.MessageGone
    await defer(interaction, thinking=False)
    spoiler = match["on"] == "on"
    await shown.set_spoiler(interaction.client, place, spoiler=spoiler)
    await studio.menus.set_spoiler(job.id, spoiler=spoiler)
    menu = await studio.menus.see(member, channel_id, job.id)
    await _show(interaction, job, _menu_view(interaction, studio, menu))


async def ask_deletion(interaction: Press, match: Match, _: Sequence[str]) -> None:
    """Ask before a result is deleted."""
    studio = _studio_for(interaction, match)
    job = await studio.menus.change(*_acting(interaction), match["job"])
    _hide(job)
    await _show(interaction, job, more.delete_view(job))


async def delete_result(interaction: Press, match: Match, _: Sequence[str]) -> None:
    """Delete the message of a result and its status message, then hide the job.

    In this order, because a moderator sees no hidden job, and has to be able to try again.
    """
    studio = _studio_for(interaction, match)
    job = await studio.menus.change(*_acting(interaction), match["job"])
    _hide(job)
    place = _place_of(interaction, job)
    await defer(interaction, thinking=False)
    if place is not None:
        await shown.remove(interaction.client, place)
        await shown.remove_status(interaction.client, job)
    await studio.menus.hide(job.id)
    await _show(interaction, job, more.deleted_view(job))


async def show_lineage(interaction: Press, match: Match, _: Sequence[str]) -> None:
    """Show what the job was made from, and what was made from it."""
    studio = _studio_for(interaction, match)
    lineage = await studio.menus.lineage(*_acting(interaction), match["job"])
    _hide(lineage.job, *lineage.ancestors, *lineage.children)
    await _show(interaction, lineage.job, more.lineage_view(lineage))


async def continue_in_thread(interaction: Press, match: Match, _: Sequence[str]) -> None:
    """Open a public thread at a result, or link the one that is there."""
    studio = _studio_for(interaction, match)
    menu = await studio.menus.see(*_acting(interaction), match["job"])
    job = menu.job
    _hide(job)
    if job.route.private or job.hidden_at is not None:
        raise PrivateThread
    if not menu.posted:
        raise NotPosted
    if job.result_message_id is None or not _may_have_thread(interaction, job):
        raise NoThreadHere
    if not interaction.permissions.create_public_threads:
        raise MemberLacksThreads
    await defer(interaction, thinking=False)
    client = interaction.client
    place = Place(job.result_channel, job.result_message_id)
    thread_id, new = await shown.open_thread(
        client, place, more.thread_name(job), instead=More.THREAD_NAME.format(job=job.id)
    )
    if new:
        await _begin_thread(client, job, thread_id)
    await _show(interaction, job, more.thread_view(job, thread_id, new=new))


async def _begin_thread(client: discord.Client, job: Job, thread_id: int) -> None:
    """Post the buttons of the result into its thread: pressed there, they continue there."""
    view = panel(More.THREAD_START)
    view.add_item(result_row(job))
    try:
        async with timeouts.within(client, timeouts.SHOW_TIMEOUT):
            await client.get_partial_messageable(thread_id).send(
                view=view,
                nonce=f"{job.id}-thread",
                allowed_mentions=discord.AllowedMentions.none(),
            )
    except (*REFUSED, *UNKNOWN_OUTCOME) as error:
        log.info("first message of a thread not posted: %s", failure_of(error))


async def remix_expanded(interaction: Press, match: Match, _: Sequence[str]) -> None:
    """Open the form *Remix* with the prompt that was drawn, which is not expanded again."""
    studio, job = await job_of_press(interaction, match)
    check_prompt(job)
    _hide(job)
    spec = studio.catalog.about(job.request.model)
    prompt = expanded_prompt(job, spec.longest_prompt)
    await open_form(interaction, remix_form(job, spec, prompt=prompt, expand=False))


def _studio_for(interaction: Press, match: Match) -> Studio:
    bind(job=match["job"])
    return studio_of(interaction)


def _hide(*jobs: Job | None) -> None:
    """Keep the prompts of these jobs out of the log: an error may quote a request to Discord."""
    for job in jobs:
        if job is not None:
            hide(*job.texts, job.expanded_prompt or "")


def _acting(interaction: Press) -> tuple[Member, int]:
    return member_of(interaction), interaction.channel_id or 0


def _menu_view(interaction: Press, studio: Studio, menu: Menu) -> ui.LayoutView:
    """Return the menu for the place of this press.

    A public message that was pressed shows that the result is posted, also if the delivery has not
    been stored yet.
    """
    job, source = menu.job, interaction.message
    posted = menu.posted or (source is not None and not source.flags.ephemeral)
    thread = (
        posted
        and job.hidden_at is None
        and not job.route.private
        and _may_have_thread(interaction, job)
    )
    spec = studio.catalog.about(job.request.model)
    return more.menu_view(menu, spec, posted=posted, thread=thread)


def _may_have_thread(interaction: Press, job: Job) -> bool:
    """Return whether the result is in this channel, and the channel may have threads."""
    channel = interaction.channel
    kind = channel.type if channel is not None else None
    return (
        interaction.guild_id is not None
        and is_present(interaction)
        and kind in THREADED
        and job.result_channel == interaction.channel_id
    )


def _place_of(interaction: Press, job: Job) -> Place | None:
    """Return the message of a result, as this press can reach it; None if there is none.

    Raises PressMoreAgain if only the token of a press on *More* would reach the message.
    """
    if job.result_message_id is None:
        return None
    grant = menu_tokens_of(interaction).find(interaction.user.id, job.result_message_id)
    if grant:
        return Place(0, grant.message_id, grant.application_id, grant.token)
    if is_present(interaction):
        if job.result_channel and not job.route.private:
            return Place(job.result_channel, job.result_message_id)
        if interaction.guild_id is None:  # a private result may be a direct message
            return Place(interaction.channel_id or 0, job.result_message_id, certain=False)
    raise PressMoreAgain


async def _show(interaction: Press, job: Job, view: ui.LayoutView) -> None:
    """Show a page in the menu; as a private message if the pressed button is in no menu."""
    message = interaction.message
    in_menu = message and message.flags.ephemeral and message.id != job.result_message_id
    if not in_menu:
        await reply_privately(interaction, view)
    elif has_replied(interaction):
        async with asyncio.timeout(REPLY_TIMEOUT):
            await interaction.edit_original_response(view=view)
    else:
        async with first_reply():
            await interaction.response.edit_message(view=view)


MENU_HANDLERS: Mapping[re.Pattern[str], Handler] = {
    more.MENU: show_menu,
    more.RECIPE: show_recipe,
    more.ORIGINALS: show_originals,
    more.FAVOURITE: mark_favourite,
    more.SPOILER: mark_spoiler,
    more.LINEAGE: show_lineage,
    more.THREAD: continue_in_thread,
    more.EXPANDED: remix_expanded,
    more.DELETE: ask_deletion,
    more.DELETE_SURELY: delete_result,
}
