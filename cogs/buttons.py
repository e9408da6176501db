"""The buttons on our messages. Each carries its job's id, so that it works after any restart."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any

import discord
from discord import ui

from bot.catalog import ModelSpec
from bot.errors import UserError
from bot.jobs import JOB_ID_PATTERN, Job
from bot.observability.logs import bind
from bot.studio import Studio
from cogs._replies import REPLY_TIMEOUT, reply_error, studio_of
from cogs.delivery.uploads import Uploads, prepare
from cogs.ui.result import canceled_view, job_choice, job_view, waiting_view

UPLOAD_SECONDS = 60.0
CANCEL_ID = rf"easel:cancel:(?P<job>{JOB_ID_PATTERN})"
HISTORY_ID = "easel:history"


def cancel_id(job_id: str) -> str:
    """Which only the status message of that job has."""
    return f"easel:cancel:{job_id}"


class CancelButton(ui.DynamicItem[ui.Button[Any]], template=CANCEL_ID):
    """Under a job that waits; works for the member whose job it is."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(
            ui.Button(
                label="Cancel",
                style=discord.ButtonStyle.secondary,
                custom_id=cancel_id(job_id),
            )
        )

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: ui.Item[Any], match: re.Match[str], /
    ) -> "CancelButton":
        return cls(match["job"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        bind(interaction=interaction.id, job=self.job_id)
        # discord.py only logs what a DynamicItem raises, so the member is told here.
        try:
            await self._cancel(interaction)
        except Exception as error:
            await reply_error(interaction, error)

    async def _cancel(self, interaction: discord.Interaction[Any]) -> None:
        studio = studio_of(interaction)
        job = await studio.jobs.cancel(interaction.user.id, self.job_id)
        async with asyncio.timeout(REPLY_TIMEOUT):
            if not job.final_status_sent:
                # The worker shows it: an edit from here could arrive after its last one.
                await interaction.response.defer()
                return
            spec = studio.catalog.about(job.request.model)
            view = canceled_view(job) if job.status.settled else status_view(job, spec)
            await interaction.response.edit_message(view=view)


class HistorySelect(ui.DynamicItem[ui.Select[Any]], template=HISTORY_ID):
    """Under /history: shows the pictures of the job that is chosen, to its member alone."""

    def __init__(self, jobs: Sequence[Job] = ()) -> None:
        options = [discord.SelectOption(label=job_choice(job), value=job.id) for job in jobs]
        super().__init__(
            ui.Select(
                custom_id=HISTORY_ID,
                placeholder="Show the pictures of …",
                options=options or [discord.SelectOption(label="-")],
            )
        )

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: ui.Item[Any], match: re.Match[str], /
    ) -> "HistorySelect":
        return cls()

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        bind(interaction=interaction.id)
        try:
            await show_job(interaction, studio_of(interaction), self.item.values[0])
        except Exception as error:
            await reply_error(interaction, error)


async def show_job(interaction: discord.Interaction[Any], studio: Studio, job_id: str) -> None:
    """All about an own job, privately. Refused before anything is deferred."""
    job, pictures = await studio.jobs.show(interaction.user.id, job_id.strip().lower())
    bind(job=job.id)
    async with asyncio.timeout(REPLY_TIMEOUT):
        await interaction.response.defer(ephemeral=True, thinking=True)
    uploads = await prepare(job, pictures, interaction.filesize_limit)
    async with asyncio.timeout(UPLOAD_SECONDS):
        await interaction.followup.send(
            view=job_view(job, studio.catalog.about(job.request.model), uploads),
            files=uploads.files(),
            ephemeral=True,
            allowed_mentions=discord.AllowedMentions.none(),
        )


def status_view(
    job: Job,
    spec: ModelSpec,
    *,
    lacking: Sequence[str] = (),
    down: bool = False,
) -> ui.LayoutView:
    """The status message of a job that waits, with its button while that does something."""
    view = waiting_view(job, spec, lacking=lacking, down=down)
    if not job.cancel_requested_at:
        view.add_item(ui.ActionRow(CancelButton(job.id)))
    return view


def copied_view(job: Job, spec: ModelSpec, inputs: Uploads) -> ui.LayoutView:
    """The status message while the service fetches the input pictures from it."""
    view = waiting_view(job, spec, inputs=inputs)
    view.add_item(ui.ActionRow(CancelButton(job.id)))
    return view


DYNAMIC_ITEMS = (CancelButton, HistorySelect)
TEMPLATES = tuple(re.compile(template) for template in (CANCEL_ID, HISTORY_ID))


class ButtonUnknown(UserError):
    def __init__(self) -> None:
        super().__init__("I no longer know this button. Ask again with a command; see /help.")


def is_unknown_item(interaction: discord.Interaction[Any]) -> bool:
    """Whether a button or select was made by another version of us: discord.py drops it."""
    if interaction.type is not discord.InteractionType.component:
        return False
    data: Mapping[str, Any] = interaction.data or {}
    custom_id = str(data.get("custom_id", ""))
    known = any(template.fullmatch(custom_id) for template in TEMPLATES)
    return custom_id.startswith("easel:") and not known
