"""Forms without memory: a submit is read from Discord's data alone, also after a restart.

The custom_id of such a form names the job and the purpose; cogs.buttons has the handlers.
discord.py would store an open form, and drop the submit of one that was opened before a restart.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import discord
from discord import ui

from bot.jobs import Attachment
from cogs._replies import FormUnread, ReplyUnread, first_reply


async def open_form(interaction: discord.Interaction[Any], form: ui.Modal) -> None:
    """Open a form as the first reply; FormUnread if nobody knows whether the form is open."""
    try:
        async with first_reply():
            await interaction.response.send_modal(form)
    except ReplyUnread as error:
        raise FormUnread(str(error)) from error


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a submitted form, by their custom_ids. A field that is missing is empty."""

    values: Mapping[str, object]
    files: Mapping[str, Attachment]  # by the id of the attachment

    def text(self, name: str) -> str:
        value = self.values.get(name)
        return value.strip() if isinstance(value, str) else ""

    def flag(self, name: str) -> bool:
        return self.values.get(name) is True

    def chosen(self, name: str) -> Sequence[str]:
        """Return the values of a select or of a group; one for a text."""
        value = self.values.get(name)
        if isinstance(value, str):
            return [value]
        return [str(each) for each in value] if isinstance(value, list) else []

    def attachments(self, name: str) -> Sequence[Attachment]:
        """Return the uploaded files, in their order."""
        return [self.files[each] for each in self.chosen(name) if each in self.files]


def fields_of(interaction: discord.Interaction[Any]) -> Fields:
    """Return what a member has submitted."""
    data: Mapping[str, Any] = interaction.data or {}
    resolved = data.get("resolved") or {}
    files = resolved.get("attachments") or {}
    return Fields(
        {str(each["custom_id"]): _value(each) for each in _inputs(data.get("components") or [])},
        {str(key): _attachment(each) for key, each in files.items()},
    )


def pick(given: str, offered: Mapping[str, str]) -> str | None:
    """Return the value that was chosen of those offered, by their labels; None for any other.

    Clients have sent the label instead of the value, or another case.
    """
    if given in offered:
        return given
    wanted = given.casefold()
    by_case = (value for value in offered if value.casefold() == wanted)
    by_label = (value for value, label in offered.items() if label.casefold() == wanted)
    return next(by_case, None) or next(by_label, None)


def _inputs(components: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield the inputs of a form: each in a label, or in a row of the older kind."""
    for each in components:
        if "custom_id" in each:
            yield each
        if component := each.get("component"):
            yield from _inputs([component])
        yield from _inputs(each.get("components") or [])


def _value(component: Mapping[str, Any]) -> object:
    return component["values"] if "values" in component else component.get("value")


def _attachment(data: Mapping[str, Any]) -> Attachment:
    return Attachment(
        name=str(data.get("filename", "picture")),
        url=str(data.get("url", "")),
        size=data.get("size"),
        width=data.get("width"),
        height=data.get("height"),
    )
