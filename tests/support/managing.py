"""Managers at work: pages and forms of `/server settings`."""

from bot.rights import Rights, ServerSettings, Subject
from bot.sandbox.discord import Interaction, Message, User
from bot.sandbox.discord.components import SELECTS, walk
from bot.sandbox.discord.permissions import MANAGE_GUILD
from bot.store import servers
from tests.support.acting import press
from tests.support.easel import Stage, text_of


def let_manage(at: Stage, *users: User) -> None:
    for user in users or (at.ada,):
        at.discord.set_permissions(at.server, user, MANAGE_GUILD)


async def settings(at: Stage, by: User | None = None) -> Message:
    """Return the first page of /server settings."""
    message = (await at.command("server settings", by=by)).message
    assert message is not None
    assert message.ephemeral_to is (by or at.ada)
    return message


async def choose(
    at: Stage, page: Message, purpose: str, *values: object, by: User | None = None
) -> Interaction:
    """Choose in the select with this purpose."""
    (select,) = [
        each["custom_id"]
        for each in walk(page.components)
        if each["type"] in SELECTS and each["custom_id"].startswith(f"easel:server:{purpose}")
    ]
    used = await at.discord.select(by or at.ada, page, select, values)
    return await used.answered()


async def opened(
    at: Stage, subject: str, button: str = "Change", by: User | None = None
) -> tuple[Message, Interaction]:
    """Open a form of a page; return the page and the form."""
    page = await settings(at, by)
    if subject != "access":
        await choose(at, page, "page", subject, by=by)
    return page, await press(at, page, button, by=by)


async def stored(at: Stage) -> ServerSettings:
    async with at.database() as database, database.reading() as view:
        return await servers.settings_of(view, at.server.id)


async def rights(at: Stage, subject: Subject, name: str = "") -> Rights:
    async with at.database() as database, database.reading() as view:
        return await servers.rights_of(view, at.server.id, subject, name)


async def listed_changes(at: Stage) -> str:
    return text_of(await at.command("server audit"))
