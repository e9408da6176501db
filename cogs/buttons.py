"""Persistent buttons and selects: one registry of custom_ids and their handlers.

A press is handled by its custom_id and values alone, in the same manner before and after a restart.
discord.py would need the view, or find the item in the message.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import discord

from bot.delivery import Receipt
from bot.errors import UserError
from bot.jobs import Job
from bot.observability.logs import bind
from bot.studio import NoSuchJob
from cogs._access import check_access
from cogs._erasure import ERASURE_HANDLERS
from cogs._more import MENU_HANDLERS, open_menu
from cogs._replies import FormLost, defer, first_reply, reply_error, studio_of
from cogs._results import again, open_edit, open_remix, submit_edit, submit_remix
from cogs.delivery.errors import hiding_prompt
from cogs.delivery.route import member_of
from cogs.edit import submit_menu_form
from cogs.history import show_job, turn_page
from cogs.server import SERVER_FORMS, SERVER_HANDLERS
from cogs.ui.actions import AGAIN, EDIT, MORE, REMIX
from cogs.ui.forms import MENU_FORM
from cogs.ui.history import PAGE
from cogs.ui.panel import CANCEL, HISTORY, PREFIX
from cogs.ui.status import canceled_view, status_view

Press = discord.Interaction[Any]
Handler = Callable[[Press, re.Match[str], Sequence[str]], Awaitable[None]]


class ButtonUnknown(UserError):
    def __init__(self) -> None:
        super().__init__("This button no longer works. Use a command instead; see /help.")


async def handle_interaction(interaction: Press) -> None:
    """Handle a press or the submit of a form; ignore all other interactions."""
    if interaction.type is discord.InteractionType.component:
        await _handle(interaction, HANDLERS, ButtonUnknown())
    elif interaction.type is discord.InteractionType.modal_submit:
        await _handle(interaction, FORMS, FormLost())


async def _handle(
    interaction: Press, handlers: Mapping[re.Pattern[str], Handler], unknown: UserError
) -> None:
    """Call the handler of a pressed item or of a form, and show the member any error.

    One of ours without a handler was made by another version of Easel, or forged. Those of others
    are ignored.
    """
    data: Mapping[str, Any] = interaction.data or {}
    custom_id = str(data.get("custom_id", ""))
    if not custom_id.startswith(PREFIX):
        return
    bind(interaction=interaction.id)
    try:
        for template, handler in handlers.items():
            if match := template.fullmatch(custom_id):
                if template not in OPEN_BUTTONS:
                    check_access(interaction)
                await handler(interaction, match, data.get("values", ()))
                return
        raise unknown
    except Exception as error:
        await reply_error(interaction, error)


async def cancel(interaction: Press, match: re.Match[str], _: Sequence[str]) -> None:
    """Cancel the job of a status message, if the member is the requester or a moderator."""
    bind(job=match["job"])
    studio = studio_of(interaction)
    try:
        job = await studio.jobs.cancel_in(
            member_of(interaction), interaction.channel_id or 0, match["job"]
        )
    except NoSuchJob:
        message = interaction.message
        if message is not None and not await studio.jobs.is_known(match["job"]):
            studio.copies.met_unknown_job(message.created_at)
        raise
    if not job.final_status_sent:
        # The worker edits the message: an edit from here could arrive after its last one.
        await defer(interaction, thinking=False)
        return

    async def show(shown: Job) -> None:
        spec = studio.catalog.about(shown.request.model)
        settled = shown.status.settled
        view = canceled_view(shown, spec, Receipt()) if settled else status_view(shown, spec)
        async with first_reply():
            await interaction.response.edit_message(view=view)

    await hiding_prompt(job, show)


async def show_chosen(interaction: Press, _: re.Match[str], values: Sequence[str]) -> None:
    """Show the job that was chosen under /history, if the member may see it."""
    if not values:  # not a select: forged
        raise ButtonUnknown
    await show_job(interaction, studio_of(interaction), values[0])


HANDLERS: Mapping[re.Pattern[str], Handler] = {
    CANCEL: cancel,
    HISTORY: show_chosen,
    PAGE: turn_page,
    AGAIN: again,
    REMIX: open_remix,
    EDIT: open_edit,
    MORE: open_menu,
    **MENU_HANDLERS,
    **SERVER_HANDLERS,
    **ERASURE_HANDLERS,
}
# Everybody, blocked or not, may stop an own job, and have the own data deleted.
OPEN_BUTTONS = frozenset({CANCEL, *ERASURE_HANDLERS})
FORMS: Mapping[re.Pattern[str], Handler] = {
    REMIX: submit_remix,
    EDIT: submit_edit,
    MENU_FORM: submit_menu_form,
    **SERVER_FORMS,
}  # discord.py stores none of them; their values are empty
