"""/history and /show: a member's jobs by pages, and one job in full."""

import asyncio
import re
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.errors import NotNow, ProviderError, UserError
from bot.jobs import Job
from bot.observability.logs import bind, hide
from bot.pictures import NotDecoded, mark_of
from bot.studio import Studio
from bot.studio.history import LONGEST_TEXT, Page, Wanted
from cogs._options import choices, complete_model
from cogs._replies import defer, reply_privately, studio_of
from cogs.delivery.route import member_of
from cogs.delivery.uploads import Upload, Uploads, file_name, prepare
from cogs.ui.history import history_view, wanted_of
from cogs.ui.lists import job_choice
from cogs.ui.result import job_view
from cogs.ui.text import tidy
from cogs.ui.wording import Argument, Command, History

THUMBNAIL_BYTES = 48 * 1024  # of the small copy of a picture
THUMBNAIL_SECONDS = 20.0  # for all of a page; the page is shown without the others
INVALID_BODY = 50035
UPLOAD_SECONDS = 60.0  # an upload may be slow

Press = discord.Interaction[Any]


class PageLost(UserError):
    def __init__(self) -> None:
        super().__init__("This page cannot be turned any more. Use /history.")


class HistoryCommands(commands.Cog, name="History"):
    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    @app_commands.command(description=Command.HISTORY)
    @app_commands.describe(
        text=Argument.HISTORY_TEXT,
        model=Argument.HISTORY_MODEL,
        favourites=Argument.FAVOURITES,
        since=Argument.SINCE,
        until=Argument.UNTIL,
    )
    @app_commands.autocomplete(model=complete_model)
    async def history(
        self,
        interaction: Press,
        text: app_commands.Range[str, 1, LONGEST_TEXT] = "",
        model: str = "",
        favourites: bool = False,
        since: str = "",
        until: str = "",
    ) -> None:
        hide(text)
        wanted = self.studio.histories.wanted(
            text=tidy(text), model=model, favourites=favourites, since=since, until=until
        )
        member = interaction.user.id
        with self.studio.histories.preparing(member):
            page = await self.studio.histories.page(member, wanted)
            if not page.pictures:
                view = history_view(page, wanted, self.studio.catalog, {})
                await reply_privately(interaction, view)
                return
            await defer(interaction)
            await _show_page(interaction, self.studio, page, wanted)

    @history.autocomplete("since")
    async def complete_since(
        self, interaction: Press, typed: str
    ) -> list[app_commands.Choice[str]]:
        return self._days(typed)

    @history.autocomplete("until")
    async def complete_until(
        self, interaction: Press, typed: str
    ) -> list[app_commands.Choice[str]]:
        return self._days(typed)

    @app_commands.command(description=Command.SHOW)
    @app_commands.describe(job=Argument.JOB)
    async def show(self, interaction: Press, job: str) -> None:
        await show_job(interaction, self.studio, job)

    @show.autocomplete("job")
    async def complete_any(self, interaction: Press, typed: str) -> list[app_commands.Choice[str]]:
        own = await self.studio.jobs.recent(interaction.user.id)
        return choices([(job_choice(job), job.id) for job in own], typed)

    def _days(self, typed: str) -> list[app_commands.Choice[str]]:
        today = self.studio.now().date()
        days = [(today - timedelta(days=days), label) for days, label in History.DAYS.items()]
        return choices([(f"{day} ({label})", f"{day}") for day, label in days], typed)


async def turn_page(interaction: Press, match: re.Match[str], _: Sequence[str]) -> None:
    """Show the page beside that of a pressed button, in the member's own message alone.

    Only the member sees such a message: a button in any other is forged.
    """
    message, studio = interaction.message, studio_of(interaction)
    if message is None or not message.flags.ephemeral:
        raise PageLost
    try:
        wanted, place = wanted_of(match, message)
    except ValueError:
        raise PageLost from None
    hide(wanted.text)
    member = interaction.user.id
    with studio.histories.preparing(member):
        page = await studio.histories.page(member, wanted, place, newer=match["way"] == "newer")
        await defer(interaction, thinking=False)  # the page appears in the same message
        await _show_page(interaction, studio, page, wanted)


async def show_job(interaction: Press, studio: Studio, job_id: str) -> None:
    """Show a job that the member may see, privately, with its buttons. Refuses before deferring."""
    member = member_of(interaction)
    shown = studio.jobs.shown(member, interaction.channel_id or 0, job_id.strip().lower())
    async with shown as (job, pictures), AsyncExitStack() as lent:
        bind(job=job.id)
        hide(*job.texts)
        await defer(interaction)
        spec = studio.catalog.about(job.request.model)
        try:
            limit, mark = interaction.filesize_limit, mark_of(job, spec.title)
            uploads = await prepare(job, pictures, limit, studio.reduced, lent, mark=mark)
        except NotDecoded as error:
            raise NotNow from error
        view = job_view(job, spec, uploads, own=job.user_id == member.user_id)
        with uploads.opened() as files:
            async with asyncio.timeout(UPLOAD_SECONDS):
                await interaction.followup.send(
                    view=view,
                    files=files,
                    ephemeral=True,
                    allowed_mentions=discord.AllowedMentions.none(),
                )


async def _show_page(interaction: Press, studio: Studio, page: Page, wanted: Wanted) -> None:
    """Put a page into the message of an interaction whose reply was deferred."""
    hide(*(text for job in page.jobs for text in job.texts))
    async with AsyncExitStack() as lent:
        small = await _thumbnails(studio, page, lent)
        uploads = Uploads(tuple(small.values()))
        names = {job_id: upload.name for job_id, upload in small.items()}
        view = history_view(page, wanted, studio.catalog, names)
        nobody = discord.AllowedMentions.none()
        try:
            with uploads.opened() as files:
                async with asyncio.timeout(UPLOAD_SECONDS):
                    await interaction.edit_original_response(
                        view=view, attachments=files, allowed_mentions=nobody
                    )
        except discord.HTTPException as error:
            if error.code != INVALID_BODY:
                raise
            # An edit may not add pictures (discord.md, Error codes).
            with uploads.opened() as files:
                async with asyncio.timeout(UPLOAD_SECONDS):
                    await interaction.followup.send(
                        view=view, files=files, ephemeral=True, allowed_mentions=nobody
                    )


async def _thumbnails(studio: Studio, page: Page, lent: AsyncExitStack) -> dict[str, Upload]:
    """Lend a small copy of the first picture of each job; those that cannot be had are missing."""
    found: dict[str, Upload] = {}
    try:
        async with asyncio.timeout(THUMBNAIL_SECONDS):
            for job in page.jobs:
                if upload := await _thumbnail(studio, job, page, lent):
                    found[job.id] = upload
    except TimeoutError:
        pass  # the decoder has much to do
    return found


async def _thumbnail(studio: Studio, job: Job, page: Page, lent: AsyncExitStack) -> Upload | None:
    picture = page.pictures.get(job.id)
    if picture is None:
        return None
    mark = mark_of(job, studio.catalog.about(job.request.model).title)
    fitting = studio.reduced.fit(picture, THUMBNAIL_BYTES, member=job.user_id, mark=mark)
    try:
        file = await lent.enter_async_context(fitting)
    except (FileNotFoundError, ProviderError, NotDecoded, NotNow):
        return None  # removed, unreadable, or not now
    stem = file_name(job, 1, picture, name="small").rpartition(".")[0]
    return Upload(f"{stem}.{file.kind}", file.path, file.size)
