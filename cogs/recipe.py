"""The message menu "Recipe": the request behind a result, for whoever may see that."""

from typing import Any

import discord
from discord import app_commands, ui
from discord.ext import commands

from bot.jobs import Job
from bot.observability.logs import bind, hide
from bot.pictures.marks import Recipe
from bot.studio import Studio
from bot.studio.recipes import NoRecipe
from bot.studio.results import check_prompt
from cogs._replies import defer, reply_privately
from cogs.delivery.attachments import pictures_in
from cogs.delivery.route import member_of
from cogs.ui.recipe import file_recipe_view, recipe_view
from cogs.ui.wording import Command


class RecipeMenu(commands.Cog, name="Recipe"):
    def __init__(self, studio: Studio, tree: app_commands.CommandTree[Any]) -> None:
        self.studio = studio
        self.tree = tree
        self.menu = app_commands.ContextMenu(name=Command.RECIPE_MENU, callback=self.recipe)

    async def cog_load(self) -> None:
        self.tree.add_command(self.menu)

    async def cog_unload(self) -> None:
        self.tree.remove_command(self.menu.name, type=self.menu.type)

    async def recipe(self, interaction: discord.Interaction[Any], message: discord.Message) -> None:
        member, channel_id = member_of(interaction), interaction.channel_id or 0
        recipes = self.studio.recipes
        if job := await recipes.of_message(member, channel_id, message.id):
            await reply_privately(interaction, self._view(job))
            return
        attached = pictures_in(message)
        if not attached:
            raise NoRecipe
        with recipes.searching(member.user_id):
            await defer(interaction)
            found = await recipes.of_pictures(member, channel_id, attached)
        await reply_privately(interaction, self._view(found))

    def _view(self, found: Job | Recipe) -> ui.LayoutView:
        if isinstance(found, Recipe):
            return file_recipe_view(found)
        bind(job=found.id)
        check_prompt(found)
        hide(*found.texts)
        return recipe_view(found, self.studio.catalog.about(found.request.model))
