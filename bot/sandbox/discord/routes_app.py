"""Routes of the application: identity, gateway, commands and servers."""

from dataclasses import dataclass
from typing import Final

from bot.sandbox.discord.commands import (
    check_entry_point,
    count_creates,
    read_commands,
    without_localizations,
)
from bot.sandbox.discord.gateway import Gateway
from bot.sandbox.discord.guilds import Guild
from bot.sandbox.discord.request_body import Form, Json, Problems, Refusal, Unsupported, invalid
from bot.sandbox.discord.rest import Call, Reply, Route
from bot.sandbox.discord.world import World

COMMANDS: Final = "/applications/{application_id}/commands"
GUILD_COMMANDS: Final = "/applications/{application_id}/guilds/{guild_id}/commands"
UNKNOWN_COMMAND: Final = (404, 10063, "Unknown application command")


@dataclass
class AppRoutes:
    world: World
    gateway: Gateway

    def routes(self) -> list[Route]:
        found = [
            Route("GET", "/gateway", self.get_gateway, open=True),
            Route("GET", "/gateway/bot", self.get_gateway_bot),
            Route("GET", "/users/@me", self.get_me),
            Route("GET", "/users/@me/guilds", self.get_my_guilds),
            Route("POST", "/users/@me/channels", self.open_direct_channel),
            Route("GET", "/users/{user_id}", self.get_user),
            Route("GET", "/applications/@me", self.get_application),
            Route("GET", "/oauth2/applications/@me", self.get_application),
            Route("GET", "/guilds/{guild_id}", self.get_guild),
            Route("GET", "/guilds/{guild_id}/channels", self.get_channels),
            Route("GET", "/guilds/{guild_id}/members/{user_id}", self.get_member),
            Route("POST", "/attachments/refresh-urls", self.refresh_urls),
        ]
        for path in (COMMANDS, GUILD_COMMANDS):
            one = path + "/{command_id}"
            found += [
                Route("GET", path, self.get_commands),
                Route("PUT", path, self.put_commands),
                Route("POST", path, self.post_command),
                Route("GET", one, self.get_command),
                Route("PATCH", one, self.patch_command),
                Route("DELETE", one, self.delete_command),
            ]
        return found

    async def get_gateway(self, _: Call) -> Reply:
        return Reply(200, {"url": self.gateway.url})

    async def get_gateway_bot(self, _: Call) -> Reply:
        limit, shards = self.gateway.limit.to_json(), self.gateway.shards
        return Reply(200, {"url": self.gateway.url, "shards": shards, "session_start_limit": limit})

    async def get_me(self, _: Call) -> Reply:
        more = {"verified": True, "mfa_enabled": True, "locale": "en-US", "email": None}
        return Reply(200, self.world.bot.to_json() | more)

    async def get_my_guilds(self, call: Call) -> Reply:
        shown: list[Json] = [
            {
                "id": str(guild.id),
                "name": guild.name,
                "icon": None,
                "banner": None,
                "owner": False,
                "permissions": str(guild.permissions_of(self.world.bot)),
                "features": [],
            }
            for guild in self._page_of_guilds(call)
        ]
        return Reply(200, shown)

    def _page_of_guilds(self, call: Call) -> list[Guild]:
        """Return at most `limit` servers by rising id, `after` or `before` an id."""
        if "with_counts" in call.query:
            raise Unsupported("with_counts")
        problems = Problems()
        form = Form({**call.query}, problems)
        form.only({"before", "after", "limit"})
        limit = form.snowflake("limit")
        if limit is not None and not 1 <= limit <= 200:
            form.wrong("limit", "NUMBER_TYPE_MAX", "int value should be from 1 to 200.")
        after, before = form.snowflake("after"), form.snowflake("before")
        problems.settle()
        most = limit or 200
        present = [guild for _, guild in sorted(self.world.guilds.items()) if guild.bot_present]
        if before is not None:
            return [guild for guild in present if guild.id < before][-most:]
        return [guild for guild in present if guild.id > (after or 0)][:most]

    async def open_direct_channel(self, call: Call) -> Reply:
        problems = Problems()
        form = Form(call.object(), problems)
        form.only({"recipient_id"})
        user = self.world.users.get(form.snowflake("recipient_id", required=True) or 0)
        problems.settle()
        if user is None or user.bot:
            raise invalid(("recipient_id",), "INVALID_RECIPIENT", "Cannot message this user")
        return Reply(200, self.world.direct_channel(self.world.bot, user).to_json())

    async def get_user(self, call: Call) -> Reply:
        user = self.world.users.get(call.id("user_id"))
        if user is None:
            raise Refusal(404, 10013, "Unknown User")
        return Reply(200, user.to_json())

    async def get_application(self, _: Call) -> Reply:
        world = self.world
        installed = sum(guild.bot_present for guild in world.guilds.values())
        return Reply(
            200,
            {
                "id": str(world.application_id),
                "name": world.bot.name,
                "icon": None,
                "description": "",
                "type": None,
                "bot": world.bot.to_json(),
                "bot_public": True,
                "bot_require_code_grant": False,
                "verify_key": world.verify_key,
                "flags": 0,
                "flags_new": "0",
                "redirect_uris": [],
                "interactions_endpoint_url": None,
                "role_connections_verification_url": None,
                "owner": world.operator.to_json(),
                "approximate_guild_count": installed,
                "approximate_user_install_count": 0,
                "approximate_user_authorization_count": 0,
                "explicit_content_filter": 0,
                "integration_types_config": {"0": {}, "1": {}},
                "team": None,
                "eligible_oauth2_scopes": [],
                "event_webhooks_url": None,
                "event_webhooks_status": 1,
                "summary": "",
                **world.application_pages,
            },
        )

    def _guild(self, call: Call) -> Guild:
        guild = self.world.guilds.get(call.id("guild_id"))
        if guild is None:
            raise Refusal(404, 10004, "Unknown Guild")
        if not guild.bot_present:
            raise Refusal(403, 50001, "Missing Access")
        return guild

    async def get_guild(self, call: Call) -> Reply:
        return Reply(200, self._guild(call).to_json())

    async def get_channels(self, call: Call) -> Reply:
        channels = self._guild(call).channels.values()
        return Reply(200, [one.to_json() for one in channels if not one.is_thread])

    async def get_member(self, call: Call) -> Reply:
        member = self._guild(call).members.get(call.id("user_id"))
        if member is None:
            raise Refusal(404, 10007, "Unknown Member")
        return Reply(200, member.to_json())

    async def refresh_urls(self, call: Call) -> Reply:
        """Return fresh addresses of attachments. The route is undocumented and works with bot
        tokens."""
        problems = Problems()
        form = Form(call.object(), problems)
        form.only({"attachment_urls"})
        urls = form.items("attachment_urls", 50, low=1, required=True)
        fresh = [self.world.cdn.refresh(url) if isinstance(url, str) else None for url in urls]
        for index, url in enumerate(fresh):
            if url is None:
                path = ("attachment_urls", index)
                problems.add(path, "URL_TYPE_INVALID_URL", "It is no address of the CDN.")
        problems.settle()
        pairs = zip(urls, fresh, strict=True)
        refreshed = [{"original": old, "refreshed": new} for old, new in pairs]
        return Reply(200, {"refreshed_urls": refreshed})

    def _scope(self, call: Call) -> str | None:
        """Return the server of the commands; None for global commands."""
        if call.id("application_id") != self.world.application_id:
            raise Refusal(403, 20012, "You are not authorized to perform this action")
        return str(self._guild(call).id) if "guild_id" in call.path else None

    def _in(self, scope: str | None) -> list[Json]:
        return [item for item in self.world.commands if item.get("guild_id") == scope]

    def _register(self, scope: str | None, body: object, known: list[Json]) -> list[Json]:
        """Replace the `known` commands, all or only those that the body names again."""
        world = self.world
        extra: Json = {"application_id": str(world.application_id)}
        if scope is not None:
            extra["guild_id"] = scope
        fresh = [{**command, **extra} for command in read_commands(body, known, world.ids.next)]
        count_creates(fresh, known, world.command_creates.setdefault(scope, []), world.clock())
        world.commands[:] = [item for item in world.commands if item not in known] + fresh
        world.commands_arrived = True
        world.changes.notify()
        return fresh

    async def get_commands(self, call: Call) -> Reply:
        found = self._in(self._scope(call))
        if call.query.get("with_localizations", "false").lower() in ("true", "1"):
            return Reply(200, found)
        return Reply(200, [without_localizations(item) for item in found])

    async def put_commands(self, call: Call) -> Reply:
        scope = self._scope(call)
        known = self._in(scope)
        check_entry_point(read_commands(call.body, known, self.world.ids.next), known)
        return Reply(200, self._register(scope, call.body, known))

    async def post_command(self, call: Call) -> Reply:
        """Add a command, or replace the command of the same name and kind."""
        scope = self._scope(call)
        wanted = call.object()
        key = (wanted.get("type") or 1, wanted.get("name"))
        known = self._in(scope)
        others = [item for item in known if (item["type"], item["name"]) != key]
        fresh = self._register(scope, [*others, wanted], known)
        return Reply(201 if len(others) == len(known) else 200, fresh[-1])

    async def get_command(self, call: Call) -> Reply:
        return Reply(200, self._one(call))

    def _one(self, call: Call) -> Json:
        wanted = str(call.id("command_id"))
        for command in self._in(self._scope(call)):
            if command["id"] == wanted:
                return command
        raise Refusal(*UNKNOWN_COMMAND)

    async def patch_command(self, call: Call) -> Reply:
        old = self._one(call)
        scope = self._scope(call)
        changed = {**old, **call.object()}
        everything = [changed if item is old else item for item in self._in(scope)]
        fresh = self._register(scope, everything, self._in(scope))
        return Reply(200, next(item for item in fresh if item["name"] == changed["name"]))

    async def delete_command(self, call: Call) -> Reply:
        self.world.commands.remove(self._one(call))
        return Reply(204)
