"""Render messages as HTML: author, time, replies and content."""

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from html import escape
from itertools import zip_longest
from typing import Final

from bot.sandbox.discord.interactions import COMMAND
from bot.sandbox.discord.messages import PIN_NOTICE, THREAD_NOTICE, THREAD_STARTER, Message
from bot.sandbox.discord.models import User
from bot.sandbox.discord.request_body import Json
from bot.sandbox.page.components import Components
from bot.sandbox.page.markdown import STYLES, Names, render, render_line
from bot.sandbox.page.modals import Modals
from bot.sandbox.page.shown import ShownChannel

TOGETHER: Final = timedelta(minutes=7)  # messages of one author within this time share one header
COLOURS: Final = ("#5865f2", "#757e8a", "#3ba55c", "#faa61a", "#ed4245", "#eb459f")
BOT_COLOUR: Final = "#5b6ee1"
SUBCOMMAND, GROUP = 1, 2
NOTICES: Final = {
    PIN_NOTICE: "📌 {name} pinned a message to this channel.",
    THREAD_NOTICE: "🧵 {name} started a thread: {link}.",
}
BLOCK: Final = re.compile(r"^(?:#{1,3}|-#|>{1,3}|[-*]) +")
MASKED: Final = re.compile(r"\[([^\[\]]+)\]\(<?https?://[^\s<>()]+>?\)")


class Messages:
    """Renderer of messages; `files` maps an attachment's id to a path beside the page."""

    def __init__(self, names: Names, components: Components, files: Mapping[str, str]) -> None:
        self._names = names
        self._components = components
        self._files = files
        self._modals = Modals(components)

    def render(self, entry: ShownChannel) -> str:
        """Render the messages of a channel, with modals and threads below their messages."""
        first = map(self._modals.render, entry.first_modals)
        return "".join([*first, *self._all(entry), *map(self._thread, entry.loose_threads)])

    def _all(self, entry: ShownChannel) -> Iterator[str]:
        before: Message | None = None
        last: date | None = None
        for message, following in zip_longest(entry.shown, entry.shown[1:]):
            day = self._moment(message).date()
            if day != last:
                before, last = None, day
                yield f'<div class="day"><span>{STYLES["D"].format(day)}</span></div>\n'
            notice = self._notice(message)
            yield notice or self._message(message, first=not self._goes_on(before, message))
            modals = entry.modals_of(message, following)
            yield from map(self._modals.render, modals)
            thread = entry.thread_of(message)
            if thread is not None:
                yield self._thread(thread)
            before = None if notice or modals or thread else message

    def _thread(self, thread: ShownChannel) -> str:
        """Render a thread with its messages."""
        count = f"{thread.channel.messages} Message{'' if thread.channel.messages == 1 else 's'}"
        state = "Locked" if thread.channel.locked else "Archived" if thread.channel.archived else ""
        return (
            f'<details class="thread" open><summary><b>{escape(thread.channel.name)}</b>'
            f"<span>{count} ›</span><i>{state}</i></summary>\n{self.render(thread)}</details>\n"
        )

    def _notice(self, message: Message) -> str:
        """Render a message of Discord's own; return nothing for any other."""
        if message.type not in NOTICES:
            return ""
        name = f"<b>{escape(message.author.name)}</b>"
        link = f"<b>{escape(message.content)}</b>" if message.content else ""
        text = NOTICES[message.type].format(name=name, link=link)
        return f'<article class="message notice" id="m{message.id}">{text}</article>\n'

    def _goes_on(self, before: Message | None, message: Message) -> bool:
        """Return whether the message continues the previous one of the author, without a header."""
        return (
            before is not None
            and before.author is message.author
            and before.ephemeral_to is message.ephemeral_to
            and _command_of(message) is None
            and message.reference is None
            and self._moment(message) - self._moment(before) < TOGETHER
        )

    def _message(self, message: Message, *, first: bool) -> str:
        private = message.ephemeral_to is not None
        kinds = ["message"] + ["first"] * first + ["private"] * private
        note = '<div class="note">Only you can see this • <b>Dismiss message</b></div>'
        return (
            f'<article class="{" ".join(kinds)}" id="m{message.id}">{self._head(message, first)}'
            f'<div class="body">{self._body(message)}{note if private else ""}</div></article>\n'
        )

    def _head(self, message: Message, first: bool) -> str:
        moment = self._moment(message)
        if not first:
            return f'<time class="beside">{moment:%H:%M}</time>'
        author = message.author
        badge = '<span class="badge">APP</span>' if author.bot else ""
        return (
            f"{self._replied(message) or self._used(message)}{avatar(author)}"
            f'<div class="by"><b>{escape(author.name)}</b>{badge}'
            f'<time title="{STYLES["F"].format(moment)}">{moment:%H:%M}</time></div>'
        )

    def _replied(self, message: Message) -> str:
        """Render the line above a reply: the author and the first words of the other message."""
        other = message.reference
        if other is None or message.type == THREAD_STARTER:
            return ""
        if other.deleted:
            return '<div class="used"><i>Original message was deleted</i></div>'
        if other.ephemeral_to is not None and other.id not in self._names.messages:
            return '<div class="used"><i>Message could not be loaded.</i></div>'
        sign = "@" if other.author in message.mentions else ""
        words = _preview(other.text())
        shown = render_line(words, self._names) if words else "<i>Click to see attachment</i> 🖼"
        badge = '<span class="badge">APP</span>' if other.author.bot else ""
        return (
            f'<a class="used" href="#m{other.id}">{avatar(other.author)}{badge}'
            f"<b>{sign}{escape(other.author.name)}</b><span>{shown}</span></a>"
        )

    def _used(self, message: Message) -> str:
        """Render the line above a reply that names the member and the command."""
        command = _command_of(message)
        if command is None or message.interaction is None:
            return ""
        user = message.interaction.user
        return (
            f'<div class="used">{avatar(user)}<b>{escape(user.name)}</b> used '
            f'<span class="mention">{escape(command)}</span></div>'
        )

    def _body(self, message: Message) -> str:
        if message.type == THREAD_STARTER and message.reference is not None:
            message = message.reference
        if message.loading:
            return f'<p class="thinking">{escape(message.author.name)} is thinking…</p>'
        parts = [f'<div class="text">{render(message.content, self._names)}</div>']
        parts += [self._embed(embed) for embed in message.embeds]
        parts.append(self._attached(message))
        if message.components:
            shown = self._components.render(message.components)
            parts.append(f'<div class="components">{shown}</div>')
        edited = '<span class="edited">(edited)</span>' if message.edited_at else ""
        return "".join(parts) + edited

    def _attached(self, message: Message) -> str:
        """Render files of a message without components: pictures in the grid, others as links."""
        shown = message.attachments
        items = [{"media": {**each, "attachment_id": each["id"]}, **each} for each in shown]
        pictures = [each for each in items if each.get("width")]
        links = (
            f'<div class="file"><span class="sheet"></span><a href="{self._files[each["id"]]}">'
            f"{escape(each['filename'])}</a></div>"
            for each in shown
            if not each.get("width")
        )
        return (self._components.gallery(pictures) if pictures else "") + "".join(links)

    def _embed(self, embed: Json) -> str:
        parts = [
            f"<b>{render(embed.get('title', ''), self._names)}</b>",
            render(embed.get("description", ""), self._names),
        ]
        for field in embed["fields"]:
            parts.append(f"<b>{escape(field['name'])}</b>{render(field['value'], self._names)}")
        parts.append(f"<small>{escape(embed.get('footer', {}).get('text', ''))}</small>")
        colour = embed.get("color") or 0x1E1F22
        style = f"border-left:4px solid #{colour:06x}"
        return f'<div class="container text" style="{style}">{"".join(parts)}</div>'

    def _moment(self, message: Message) -> datetime:
        return datetime.fromisoformat(message.created_at).astimezone(self._names.zone)


def _preview(text: str) -> str:
    """Return the first line of a text without the marks of blocks and without links."""
    line = BLOCK.sub("", text.strip().split("\n")[0])
    return MASKED.sub(r"\1", line)


def _command_of(message: Message) -> str | None:
    """Return the name of the command that the message replies to."""
    interaction = message.interaction
    if interaction is None or interaction.type != COMMAND:
        return None
    path = interaction.name
    options: list[Json] = interaction.data.get("options") or []
    while options and options[0]["type"] in (SUBCOMMAND, GROUP):  # a subcommand or a group
        path = f"{path} {options[0]['name']}"
        options = options[0].get("options") or []
    return f"/{path}" if interaction.data["type"] == 1 else path


def avatar(user: User) -> str:
    colour = COLOURS[user.id % len(COLOURS)] if not user.bot else BOT_COLOUR
    return (
        f'<span class="avatar" style="background:{colour}" aria-hidden="true">'
        f"{escape(initials(user.name))}</span>"
    )


def initials(name: str) -> str:
    words = name.split()
    return "".join(word[0] for word in words[:2]).upper() if words else "?"
