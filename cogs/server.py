"""/server: the settings of a server for its managers, and the audit of their changes.

Whether the member may manage the server is checked at each press and each submit: the permission,
or the bot, may have been removed since the page was shown.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import discord
from discord import app_commands, ui
from discord.ext import commands

from bot.errors import UserError
from bot.quotas import Member
from bot.rights import READY_MADE, Subject
from bot.store.changes import NEWEST
from bot.studio import Studio
from bot.studio.managers import check_manager
from cogs._forms import Fields, fields_of, open_form, pick
from cogs._replies import first_reply, locale_of, reply_privately, studio_of
from cogs.delivery.route import member_of
from cogs.ui import server as pages
from cogs.ui.server_forms import (
    FIELDS,
    FORM,
    Kind,
    RawFields,
    Target,
    changed_of,
    offered_by,
    raw_rights,
    raw_settings,
    settings_form,
)
from cogs.ui.text import sentence
from cogs.ui.wording import Command, ServerPages

Press = discord.Interaction[Any]
Match = re.Match[str]
Handler = Callable[[Press, Match, Sequence[str]], Awaitable[None]]


class RoleDeleted(UserError):
    def __init__(self) -> None:
        super().__init__(
            "This role was deleted, so nothing was changed. Choose another one under /server "
            "settings."
        )


class NothingChosen(UserError):
    def __init__(self) -> None:
        super().__init__("Nothing was chosen. Open /server settings again.")


@app_commands.guild_only()
@app_commands.allowed_contexts(guilds=True, dms=False, private_channels=False)
@app_commands.allowed_installs(guilds=True, users=False)
@app_commands.default_permissions(manage_guild=True)
class Server(commands.GroupCog, group_name="server", group_description=Command.SERVER):
    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    @app_commands.command(description=Command.SERVER_SETTINGS)
    async def settings(self, interaction: Press) -> None:
        await reply_privately(interaction, await _page(interaction, "access"))

    @app_commands.command(description=Command.SERVER_AUDIT)
    async def audit(self, interaction: Press) -> None:
        view = await _audit(self.studio, member_of(interaction), NEWEST)
        await reply_privately(interaction, view)


async def show_page(interaction: Press, _: Match, values: Sequence[str]) -> None:
    """Show the page of the subject that was chosen."""
    subject = _one_of(values, ServerPages.SUBJECTS)
    await _show(interaction, await _page(interaction, subject))


async def show_role(interaction: Press, _: Match, values: Sequence[str]) -> None:
    """Show the rights of the role that was chosen."""
    if not values or not values[0].isdecimal():
        raise NothingChosen
    await _show_rights(interaction, Target(Subject.ROLE, values[0]))


async def show_tier(interaction: Press, _: Match, values: Sequence[str]) -> None:
    """Show the rights of the tier that was chosen."""
    name = _one_of(values, dict.fromkeys(READY_MADE, ""))
    await _show_rights(interaction, Target(Subject.TIER, name))


async def take_tier(interaction: Press, match: Match, values: Sequence[str]) -> None:
    """Let a role, or the default rights, have the rights of a tier."""
    target, member = Target.of(match["target"]), member_of(interaction)
    chosen = _one_of(values, dict.fromkeys((pages.NO_TIER, *READY_MADE), ""))
    check_manager(member)
    _check_role(interaction, target)
    tier = None if chosen == pages.NO_TIER else chosen
    if target.subject is None:
        raise NothingChosen
    servers = studio_of(interaction).servers
    await servers.change_rights(member, target.subject, target.name, {"tier": tier})
    await _show_rights(interaction, target, ServerPages.CHANGED)


async def reset_tier(interaction: Press, match: Match, _: Sequence[str]) -> None:
    """Let a tier be as it was ready-made."""
    await studio_of(interaction).servers.reset_tier(member_of(interaction), match["tier"])
    await _show_rights(interaction, Target(Subject.TIER, match["tier"]), ServerPages.CHANGED)


async def open_settings(interaction: Press, match: Match, _: Sequence[str]) -> None:
    """Open a form with the stored values."""
    studio, member = studio_of(interaction), member_of(interaction)
    target = Target.of(match["target"])
    check_manager(member)
    _check_role(interaction, target)
    raw = await _raw(studio, member, target)
    await open_form(interaction, settings_form(match["form"], target, raw, studio.catalog))


async def open_again(interaction: Press, match: Match, _: Sequence[str]) -> None:
    """Open a form that was refused, with the values that its manager has typed."""
    check_manager(member_of(interaction))
    form, message = match["form"], interaction.message
    raw = pages.typed_in(form, [] if message is None else message.components)
    await open_form(
        interaction,
        settings_form(
            *(form, Target.of(match["target"]), raw, studio_of(interaction).catalog),
            marks=match["marks"],
        ),
    )


async def submit_settings(interaction: Press, match: Match, _: Sequence[str]) -> None:
    """Store what a manager has changed in a form; a refusal loses nothing of what was typed."""
    studio, member = studio_of(interaction), member_of(interaction)
    form, target = match["form"], Target.of(match["target"])
    check_manager(member)
    _check_role(interaction, target)
    raw = _submitted(form, fields_of(interaction), studio)
    try:
        changed = changed_of(form, raw, match["marks"])
        if target.subject is None:
            made = await studio.servers.change_settings(member, changed)
        else:
            made = await studio.servers.change_rights(member, target.subject, target.name, changed)
    except UserError as error:
        text = sentence(error, locale_of(interaction))
        refusal = pages.typed_view(text, form, target, raw, match["marks"])
        await reply_privately(interaction, refusal)
        return
    note = ServerPages.CHANGED if made else ServerPages.UNCHANGED
    if target.subject is None:
        await _show(interaction, await _page(interaction, form, note))
    else:
        await _show_rights(interaction, target, note)


async def turn_audit(interaction: Press, match: Match, _: Sequence[str]) -> None:
    """Show the changes before one, or the newest."""
    before = int(match["before"]) or NEWEST
    view = await _audit(studio_of(interaction), member_of(interaction), min(before, NEWEST))
    await _show(interaction, view)


async def _page(interaction: Press, subject: str, *notes: str) -> ui.LayoutView:
    """Return the page of a subject, as the rows are now."""
    servers, member = studio_of(interaction).servers, member_of(interaction)
    locale = locale_of(interaction)
    match subject:
        case "budget":
            return pages.budget_view(await servers.budget(member), *notes, locale=locale)
        case "default":
            rights = await servers.rights(member, Subject.DEFAULT)
            return pages.rights_view(rights, *notes, locale=locale)
        case "roles":
            return pages.roles_view(await servers.granted(member), *notes)
        case "tiers":
            return pages.tiers_view(await servers.granted(member), *notes)
    settings = await servers.settings(member)
    if settings.notices is not None and not _may_post(interaction.guild, settings.notices):
        notes = (*notes, ServerPages.NO_POST)
    return pages.access_view(settings, *notes)


def _may_post(guild: discord.Guild | None, channel_id: int) -> bool:
    """Return false if the bot surely cannot post in a channel: deleted, or not permitted."""
    if guild is None or guild.unavailable or not guild.channels:
        return True
    channel = guild.get_channel(channel_id)
    granted = discord.Permissions.none() if channel is None else channel.permissions_for(guild.me)
    return granted.view_channel and granted.send_messages


async def _audit(studio: Studio, member: Member, before_id: int) -> ui.LayoutView:
    return pages.audit_view(await studio.servers.audit(member, before_id))


async def _show_rights(interaction: Press, target: Target, *notes: str) -> None:
    if target.subject is None:
        raise NothingChosen
    member = member_of(interaction)
    check_manager(member)
    _check_role(interaction, target)
    rights = await studio_of(interaction).servers.rights(member, target.subject, target.name)
    await _show(interaction, pages.rights_view(rights, *notes, locale=locale_of(interaction)))


async def _show(interaction: Press, view: ui.LayoutView) -> None:
    """Replace the page under which something was pressed or submitted."""
    if interaction.message is None:
        await reply_privately(interaction, view)
        return
    nobody = discord.AllowedMentions.none()
    async with first_reply():
        await interaction.response.edit_message(view=view, allowed_mentions=nobody)


async def _raw(studio: Studio, member: Member, target: Target) -> RawFields:
    if target.subject is None:
        return raw_settings(await studio.servers.settings(member))
    rights = await studio.servers.rights(member, target.subject, target.name)
    return raw_rights(rights.own)


def _submitted(form: str, fields: Fields, studio: Studio) -> RawFields:
    """Return the raw values of a submitted form."""
    found: dict[str, Sequence[str]] = {}
    for field in FIELDS[form]:
        if field.kind is Kind.TEXT:
            text = fields.text(field.name)
            found[field.name] = [text] if text else []
            continue
        chosen = fields.chosen(field.name)
        if (offered := offered_by(field, studio.catalog)) is not None:
            # A model that is no longer on offer may be among the stored ones.
            chosen = [pick(given, offered) or given for given in chosen]
        found[field.name] = chosen
    return found


def _check_role(interaction: Press, target: Target) -> None:
    """Raise RoleDeleted if the server does not have the role any more, as far as is known."""
    guild = interaction.guild
    if target.subject is not Subject.ROLE or guild is None or guild.unavailable:
        return
    if guild.roles and guild.get_role(int(target.name)) is None:
        raise RoleDeleted


def _one_of(values: Sequence[str], offered: Mapping[str, str]) -> str:
    """Return the value that was chosen in a select of a page. NothingChosen."""
    found = pick(values[0], offered) if values else None
    if found is None:
        raise NothingChosen
    return found


SERVER_HANDLERS: Mapping[re.Pattern[str], Handler] = {
    pages.PAGE: show_page,
    pages.ROLE: show_role,
    pages.TIER: show_tier,
    pages.TAKE: take_tier,
    pages.OPEN: open_settings,
    pages.OPEN_AGAIN: open_again,
    pages.RESET: reset_tier,
    pages.AUDIT: turn_audit,
}
SERVER_FORMS: Mapping[re.Pattern[str], Handler] = {FORM: submit_settings}
