"""Write channels as one static page in the layout of Discord's client."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, tzinfo
from html import escape
from pathlib import Path
from typing import Final

from bot.sandbox.discord.models import User
from bot.sandbox.page.components import Components
from bot.sandbox.page.markdown import Names
from bot.sandbox.page.messages import Messages, avatar, initials
from bot.sandbox.page.shown import ShownChannel

PICTURES: Final = "pictures"  # the folder beside the page
# No message can make the page run code or load anything remote.
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' file:"


def write_page(
    path: Path,
    channels: Sequence[ShownChannel],
    *,
    viewer: User,
    now: float | None = None,
    zone: tzinfo = UTC,
) -> None:
    """Write the page, and the files of all messages into a folder beside the page.

    `now` is the time of reading in seconds; private messages must be the viewer's.
    """
    names = names_in(channels, time.time() if now is None else now, zone)
    files = save_files(path.parent / PICTURES, channels)
    page = document(channels, viewer=viewer, names=names, files=files)
    path.write_text(page, encoding="utf-8")


def names_in(channels: Sequence[ShownChannel], now: float, zone: tzinfo) -> Names:
    """Return the people, roles and channels for mentions, and the messages for links."""
    guilds = {guild.id: guild for each in channels if (guild := each.channel.guild)}.values()
    members = [member.user for guild in guilds for member in guild.members.values()]
    people = [user for each in channels for user in each.channel.recipients]
    return Names(
        now=now,
        zone=zone,
        users={user.id: user.name for user in (*members, *people)},
        roles={role.id: role.name for guild in guilds for role in guild.roles},
        channels={each.id: each.name for guild in guilds for each in guild.channels.values()},
        messages=frozenset(message.id for each in channels for message in each.everything),
    )


def save_files(folder: Path, channels: Sequence[ShownChannel]) -> dict[str, str]:
    """Write the files of all messages, and return paths relative to the page by attachment id."""
    found: dict[str, str] = {}
    for file in (
        file for each in channels for message in each.everything for file in message.files
    ):
        name = file.filename
        if name.startswith(".") or f"{PICTURES}/{name}" in found.values():
            name = f"{file.id}-{name}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(file.data)
        found[str(file.id)] = f"{PICTURES}/{name}"
    return found


def document(
    channels: Sequence[ShownChannel], *, viewer: User, names: Names, files: Mapping[str, str]
) -> str:
    """Return the whole page, with the first channel open."""
    guild = next((each.channel.guild for each in channels if each.channel.guild), None)
    title = guild.name if guild else "Direct Messages"
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    chosen = "".join(
        f"body:has(#pick{number}:checked) #channel{number}{{display:flex}}"
        for number in range(len(channels))
    )
    picks = "".join(_pick(number, each, viewer) for number, each in enumerate(channels))
    messages = Messages(names, Components(names, files), files)
    panes = "".join(
        _channel(number, each, viewer, messages.render(each))
        for number, each in enumerate(channels)
    )
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}{chosen}\n</style>\n</head>\n<body>\n"
        f'<nav class="rail"><span class="server">{escape(initials(title))}</span></nav>\n'
        f'<nav class="side"><header>{escape(title)}</header><div class="picks">{picks}</div>'
        f"<footer>{avatar(viewer)}<b>{escape(viewer.name)}</b></footer></nav>\n"
        f"{panes}</body>\n</html>\n"
    )


def _pick(number: int, entry: ShownChannel, viewer: User) -> str:
    checked = "" if number else " checked"
    return (
        f'<label><input type="radio" name="channel" id="pick{number}"{checked}>'
        f"<i>{entry.sign}</i> {escape(entry.name(viewer))}</label>"
    )


def _channel(number: int, entry: ShownChannel, viewer: User, messages: str) -> str:
    sign, name = entry.sign, escape(entry.name(viewer))
    in_server = entry.channel.guild is not None
    title = f"Welcome to #{name}!" if in_server else name
    start = f"the #{name} channel" if in_server else f"your direct messages with {name}"
    return (
        f'<main id="channel{number}">\n<header><i>{sign}</i> {name}</header>\n'
        f'<div class="messages"><div class="welcome"><span class="sign">{sign}</span>'
        f"<h1>{title}</h1><p>This is the start of {start}.</p></div>\n{messages}</div>\n"
        f'<div class="composer"><div>Message {sign}{name}</div></div>\n</main>\n'
    )
