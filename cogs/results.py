"""The buttons on our messages. Each carries its job's id, so that it works after any restart."""

import re
from typing import Any

import discord
from discord import ui

from bot.catalog import ModelSpec
from bot.jobs import JOB_ID_PATTERN, Job
from cogs.answers import answer_error, studio_of
from cogs.views import canceled_view, waiting_view

CANCEL_ID = rf"easel:cancel:(?P<job>{JOB_ID_PATTERN})"


class CancelButton(ui.DynamicItem[ui.Button[Any]], template=CANCEL_ID):
    """Under a job that waits; works for the member whose job it is."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(
            ui.Button(
                label="Cancel",
                style=discord.ButtonStyle.secondary,
                custom_id=f"easel:cancel:{job_id}",
            )
        )

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: ui.Item[Any], match: re.Match[str], /
    ) -> "CancelButton":
        return cls(match["job"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        # discord.py only logs what a DynamicItem raises, so the member is told here.
        try:
            await self._cancel(interaction)
        except Exception as error:
            await answer_error(interaction, error)

    async def _cancel(self, interaction: discord.Interaction[Any]) -> None:
        studio = studio_of(interaction)
        job = await studio.cancel(interaction.user.id, self.job_id)
        spec = studio.catalog.get(job.request.model)
        view = canceled_view(job) if job.status.settled else status_view(job, spec)
        await interaction.response.edit_message(view=view)


def status_view(job: Job, spec: ModelSpec, *, chosen: bool = False) -> ui.LayoutView:
    """The status message of a job that waits, with its button while that does something."""
    view = waiting_view(job, spec, chosen=chosen)
    if not job.cancel_requested_at:
        view.add_item(ui.ActionRow(CancelButton(job.id)))
    return view


DYNAMIC_ITEMS = (CancelButton,)
