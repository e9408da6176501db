"""/edit and the message menu "Edit image": a picture from other pictures."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.catalog import MAX_COUNT, MAX_PROMPT, MAX_SEED
from bot.errors import UserError
from bot.quotas import PictureOrigin
from bot.studio import Studio
from cogs._forms import fields_of, open_form
from cogs._menu_forms import MenuForm
from cogs._options import COMMON, OPTIONS, completed, given_options
from cogs._replies import FormLost, menu_forms_of, studio_of
from cogs._request import request_job
from cogs._results import open_edit_form
from cogs.delivery.attachments import attachment_of, pictures_in
from cogs.delivery.route import member_of
from cogs.ui.forms import PICTURES, PROMPT, menu_form
from cogs.ui.panel import MAX_CHOICES
from cogs.ui.wording import Argument, Command


class NoPicture(UserError):
    def __init__(self) -> None:
        super().__init__("This message has no picture. Choose a message with a picture.")


class Edit(commands.Cog):
    def __init__(self, studio: Studio, tree: app_commands.CommandTree[Any]) -> None:
        self.studio = studio
        self.tree = tree
        # discord.py has no decorator for menus in a cog.
        self.menu = app_commands.ContextMenu(name=Command.EDIT_MENU, callback=self.edit_message)

    async def cog_load(self) -> None:
        self.tree.add_command(self.menu)

    async def cog_unload(self) -> None:
        self.tree.remove_command(self.menu.name, type=self.menu.type)

    @app_commands.command(description=Command.EDIT)
    @app_commands.describe(
        prompt=Argument.EDIT_PROMPT,
        image=Argument.IMAGE,
        image2=Argument.IMAGE2,
        image3=Argument.IMAGE3,
        image4=Argument.IMAGE4,
        match_input_image=OPTIONS["match_input_image"],
        **COMMON,
    )
    @completed
    async def edit(
        self,
        interaction: discord.Interaction[Any],
        prompt: app_commands.Range[str, 1, MAX_PROMPT],
        image: discord.Attachment,
        image2: discord.Attachment | None = None,
        image3: discord.Attachment | None = None,
        image4: discord.Attachment | None = None,
        match_input_image: bool | None = None,
        model: str | None = None,
        aspect_ratio: str | None = None,
        image_size: str | None = None,
        count: app_commands.Range[int, 1, MAX_COUNT] | None = None,
        negative_prompt: str | None = None,
        seed: app_commands.Range[int, 0, MAX_SEED] | None = None,
        expand_prompt: bool | None = None,
        output_format: str | None = None,
        safety_checker: bool | None = None,
        private: bool | None = None,
    ) -> None:
        given = [each for each in (image, image2, image3, image4) if each is not None]
        await request_job(
            interaction,
            self.studio,
            prompt=prompt,
            options=given_options(interaction),
            model=model,
            inputs=[attachment_of(each) for each in given],
            private=private,
        )

    async def edit_message(
        self, interaction: discord.Interaction[Any], message: discord.Message
    ) -> None:
        pictures = pictures_in(message)[:MAX_CHOICES]
        if not pictures:
            raise NoPicture
        member, channel_id = member_of(interaction), interaction.channel_id or 0
        if job := await self.studio.results.of_message(message.id):
            job = await self.studio.results.seen(member, channel_id, job.id)
            await open_edit_form(interaction, self.studio, job)
            return
        own = message.flags.ephemeral and message.author.id == interaction.application_id
        origin = _origin(interaction, message, own=own)
        self.studio.check_edit(member, origin)
        if not message.author.bot and origin.author_id != member.user_id:
            pictures = [replace(each, author_id=origin.author_id) for each in pictures]
        form = menu_form(interaction.id, [each.name for each in pictures])
        # Before it opens: the submit may arrive before Discord's answer.
        menu_forms_of(interaction).add(
            interaction.user.id, MenuForm(form.custom_id, pictures, private=own)
        )
        await open_form(interaction, form)


def _origin(
    interaction: discord.Interaction[Any], message: discord.Message, *, own: bool
) -> PictureOrigin:
    """Return the origin of the pictures of a message that is no result.

    A private message of the bot's is the member's `own`. The author of a forwarded picture is
    unknown.
    """
    author_id = None if message.message_snapshots else message.author.id
    channel_id = interaction.channel_id or 0
    return PictureOrigin(channel_id, author_id=interaction.user.id if own else author_id)


async def submit_menu_form(
    interaction: discord.Interaction[Any], match: re.Match[str], _: Sequence[str]
) -> None:
    """Request the change that a member has typed into the form of the message menu."""
    forms, member_id = menu_forms_of(interaction), interaction.user.id
    if (form := forms.take(member_id, match[0])) is None:
        raise FormLost
    fields = fields_of(interaction)
    chosen = fields.chosen(PICTURES)
    numbers = [each for each in range(len(form.pictures)) if str(each) in chosen] or [0]
    try:
        await request_job(
            interaction,
            studio_of(interaction),
            prompt=fields.text(PROMPT),
            options={},
            model=None,
            inputs=[form.pictures[number] for number in numbers],
            private=form.private or None,  # else by the requester's choice
        )
    except Exception:
        forms.put_back(member_id, form)
        raise
