"""Discord: the token, the application, and each server that the bot is in."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import timedelta

import aiohttp
from pydantic import BaseModel

from bot.check.discord_rest import Application, RequestFailed, Rest
from bot.check.pages import check_application_pages
from bot.check.report import Line, ok, warning, wrong
from bot.clock import in_words
from bot.errors import StartupError
from bot.http_client import TRUST
from bot.invite import invite_link, missing
from bot.settings import Settings


class User(BaseModel):
    id: int
    username: str


class Server(BaseModel):
    """A server in the list of the bot's servers; `permissions` are those of its roles together."""

    id: int
    name: str
    permissions: int


class ServerDetails(BaseModel):
    premium_tier: int = 0


TOKEN, APPLICATION, SERVER, UPLOADS = "DISCORD_TOKEN", "application", "server", "uploads"
PORTAL = "https://discord.com/developers/applications"
PAGE = 200  # servers in one answer


async def check_discord(
    settings: Settings, session: aiohttp.ClientSession, *, register: bool = False
) -> list[Line]:
    """Check all that Discord knows of the bot; with `register`, also mend the commands."""
    try:
        rest = Rest(session, settings.discord_api_url, settings.token, settings.proxies)
    except StartupError:  # reported among the settings
        return []
    lines = await _check_token(rest)
    if rest.clock_ahead is not None:
        lines.append(_clock(rest.clock_ahead))
    if any(line.about == TOKEN and line.remedy for line in lines):
        return lines
    # The commands come with all of the bot, so that they are imported once Discord answers.
    from bot.check.commands import check_commands

    for part in (
        _check_application(rest, settings),
        check_commands(rest, settings, register=register),
        _check_servers(rest, settings),
    ):
        try:
            lines += await part
        except RequestFailed as error:
            lines.append(wrong("Discord", str(error), "Try again; see https://discordstatus.com."))
    return lines


async def _check_token(rest: Rest) -> list[Line]:
    try:
        user = await rest.get("/users/@me", User)
    except RequestFailed as error:
        if error.status == 401:
            remedy = f"Reset it at {PORTAL} and put the new one in .env."
            return [wrong(TOKEN, "Discord refuses it", remedy)]
        remedy = "Check the network and DISCORD_API_URL; see https://discordstatus.com."
        if error.untrusted:
            remedy = TRUST
        return [wrong(TOKEN, f"no answer from Discord: {error}", remedy)]
    return [ok(TOKEN, f"{user.username}, id {user.id}")]


def _clock(ahead: timedelta) -> Line:
    if abs(ahead) > timedelta(seconds=5):
        finding = f"{in_words(ahead)} Discord's"
        remedy = "Set this machine's clock by NTP, then restart Easel."
        return warning("clock", finding, remedy)
    return ok("clock", "agrees with Discord's")


async def _check_application(rest: Rest, settings: Settings) -> list[Line]:
    found = await rest.get("/applications/@me", Application)
    lines = []
    page = f"{PORTAL}/{found.id}"
    public = "anybody may add the bot" if found.bot_public else "only the owner may add the bot"
    lines.append(
        ok(APPLICATION, f"{found.name}, id {found.id}; {public}; needs no privileged intent")
    )
    if found.interactions_endpoint_url:
        lines.append(
            wrong(
                APPLICATION,
                f"commands go to {found.interactions_endpoint_url}, and not to Easel",
                f"Clear Interactions Endpoint URL at {page}/information.",
            )
        )
    if found.bot_require_code_grant:
        lines.append(
            warning(
                APPLICATION,
                "the bot cannot be added by a link alone",
                f"Switch off Requires OAuth2 Code Grant at {page}/bot.",
            )
        )
    lines += check_application_pages(found, settings, page)
    lines.append(ok("invite", invite_link(found.id)))
    return lines


async def _check_servers(rest: Rest, settings: Settings) -> list[Line]:
    servers = await _servers(rest)
    if not servers:
        return [warning(SERVER, "the bot is in none yet", "Open the invite link above.")]
    lines = list(_absent(servers, settings.servers))
    served = [each for each in servers if not settings.servers or each.id in settings.servers]
    lines += (_permissions(server) for server in served)
    lines += await _uploads(rest, served[:50])  # requested one by one
    return lines


async def _servers(rest: Rest) -> list[Server]:
    found: list[Server] = []
    after = "0"
    while True:
        page = await rest.get("/users/@me/guilds", list[Server], limit=str(PAGE), after=after)
        found += page
        if len(page) < PAGE:
            return found
        after = str(max(server.id for server in page))


def _absent(servers: Sequence[Server], allowed: frozenset[int]) -> Iterator[Line]:
    here = {server.id for server in servers}
    for server_id in sorted(allowed - here):
        remedy = "Open the invite link above, or take the id out of SERVERS."
        yield warning("SERVERS", f"the bot is not in server {server_id}", remedy)
    others = [server for server in servers if allowed and server.id not in allowed]
    if others:
        names = ", ".join(_name(server) for server in others[:5])
        more = f" and {len(others) - 5} more" if len(others) > 5 else ""
        yield ok("SERVERS", f"the bot ignores commands in {names}{more}")


def _permissions(server: Server) -> Line:
    absent = missing(server.permissions)
    if absent:
        remedy = "Give them to the bot's role, or open the invite link above again."
        return warning(SERVER, f"{_name(server)} lacks {', '.join(absent)}", remedy)
    return ok(SERVER, f"{_name(server)} grants every permission that is needed")


async def _uploads(rest: Rest, servers: Sequence[Server]) -> list[Line]:
    """Return the size above which a picture is reduced, for each server."""
    slots = asyncio.Semaphore(4)

    async def limit_of(server: Server) -> int | None:
        async with slots:
            try:
                details = await rest.get(f"/guilds/{server.id}", ServerDetails)
            except RequestFailed:
                return None
        # MiB, by the boost tier of the server
        return {2: 50, 3: 100}.get(details.premium_tier, 10)

    limits = await asyncio.gather(*(limit_of(server) for server in servers))
    names: defaultdict[int | None, list[str]] = defaultdict(list)
    for server, limit in zip(servers, limits, strict=True):
        names[limit].append(_name(server))
    unknown = names.pop(None, [])
    lines = [
        ok(UPLOADS, f"up to {limit} MiB per picture in {', '.join(names[limit])}")
        for limit in sorted(limit for limit in names if limit is not None)
    ]
    if unknown:
        remedy = "Try again; only 10 MiB are certain until then."
        lines.append(warning(UPLOADS, f"unknown for {', '.join(unknown)}", remedy))
    return lines


def _name(server: Server) -> str:
    return f"“{server.name}” ({server.id})"
