"""The stand-in's answers against Discord's own description, if EASEL_DISCORD_OPENAPI names the
file.

The description is not part of the project.
"""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from bot.sandbox.discord import ChannelKind, Upload
from bot.sandbox.discord import permissions as may
from tests.sandbox.test_discord_messages import PNG, V2, button, gallery, row, text
from tests.sandbox.test_discord_raw import ECHO, Api, api

__all__ = ["api"]  # the fixture

VARIABLE = "EASEL_DISCORD_OPENAPI"
pytestmark = pytest.mark.skipif(VARIABLE not in os.environ, reason=f"{VARIABLE} names no file")


@cache
def registry() -> "Registry[Any]":
    document = json.loads(Path(os.environ[VARIABLE]).read_text())
    resource = DRAFT202012.create_resource(document)
    made: Registry[Any] = Registry().with_resource("urn:discord", resource)
    return made


def check(schema: str, body: object) -> None:
    """Fail if `body` differs from the description of this name."""
    reference = {"$ref": f"urn:discord#/components/schemas/{schema}"}
    errors = Draft202012Validator(reference, registry=registry()).iter_errors(body)
    worst = best_match(errors)
    assert worst is None, f"{worst.json_path}: {worst.message[:500]}"


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        ("/users/@me", "UserPIIResponse"),
        ("/users/{bot}", "UserResponse"),
        ("/gateway", "GatewayResponse"),
        ("/gateway/bot", "GatewayBotResponse"),
        ("/applications/@me", "PrivateApplicationResponse"),
        ("/guilds/{guild}", "GuildWithCountsResponse"),
        ("/guilds/{guild}/members/{bot}", "GuildMemberResponse"),
        ("/channels/{channel}", "GuildChannelResponse"),
        ("/channels/{thread}", "ThreadResponse"),
        ("/channels/{direct}", "PrivateChannelResponse"),
    ],
)
async def test_what_is_looked_up_fits_the_description(api: Api, path: str, schema: str) -> None:
    kind = ChannelKind.PUBLIC_THREAD
    thread = api.discord.add_channel(api.guild, "thread", kind=kind, parent=api.channel)
    names = {
        "bot": api.discord.bot_user.id,
        "guild": api.guild.id,
        "channel": api.channel.id,
        "thread": thread.id,
        "direct": api.discord.dm_channel(api.ann).id,
    }

    status, body = await api.call("GET", path.format(**names))

    assert status == 200
    check(schema, body)


async def test_messages_fit_the_description(api: Api) -> None:
    embed = {"title": "t", "image": {"url": "attachment://a.png"}}
    select = {"type": 3, "custom_id": "s", "options": [{"label": "a", "value": "a"}]}
    section = {"type": 9, "components": [text()], "accessory": button("b")}
    file = {"type": 13, "file": {"url": "attachment://a.png"}}
    box = {"type": 17, "components": [gallery("attachment://a.png"), {"type": 14}, file]}
    upload = Upload("a.png", PNG)
    sent = [
        await api.send({"content": "x", "nonce": "n"}, Upload("b.txt", b"b")),
        await api.send({"embeds": [embed]}, upload),
        await api.send({"content": "x", "components": [row(button()), row(select)]}),
        await api.send({"flags": V2, "components": [box, section, text()]}, upload),
    ]

    for status, body in sent:
        assert status == 200
        check("MessageResponse", body)
        path = f"/channels/{api.channel.id}/messages/{body['id']}"
        check("MessageResponse", (await api.call("GET", path))[1])


async def test_answers_to_interactions_fit_the_description(api: Api) -> None:
    used = await api.used()
    status, body = await api.respond(used, 4, {"content": "x", "components": [row(button())]})
    assert status == 200
    check("InteractionCallbackResponse", body)
    check("MessageResponse", (await api.hook("GET", used, "/messages/@original"))[1])

    assert used.message is not None
    pressed = await api.discord.click(api.ann, used.message, "a")
    _, body = await api.respond(pressed, 7, {"content": "y"})
    check("InteractionCallbackResponse", body)
    _, more = await api.hook("POST", pressed, "", {"content": "z"})
    check("MessageResponse", more)


async def test_commands_fit_the_description(api: Api) -> None:
    option = {"type": 3, "name": "what", "description": "d", "autocomplete": True}
    menu = {"type": 3, "name": "Read it"}

    status, body = await api.register(ECHO | {"options": [option], "contexts": [0]}, menu)

    assert status == 200
    for command in body:
        check("ApplicationCommandResponse", command)


async def test_threads_pins_and_reactions_fit_the_description(api: Api) -> None:
    api.discord.set_bot_permissions(api.channel, may.EVERYONE | may.PIN_MESSAGES)
    forum = api.discord.add_channel(api.guild, "f", kind=ChannelKind.FORUM, tags=["art"])
    _, sent = await api.send({"content": "x"})
    path = f"/channels/{api.channel.id}/messages"
    await api.call("PUT", f"{path}/pins/{sent['id']}")
    await api.call("PUT", f"{path}/{sent['id']}/reactions/%F0%9F%A6%8A/@me")
    _, thread = await api.call("POST", f"{path}/{sent['id']}/threads", {"name": "t"})
    body = {"name": "p", "message": {"content": "x"}, "applied_tags": [str(forum.tags[0].id)]}
    _, post = await api.call("POST", f"/channels/{forum.id}/threads", body)

    check("CreatedThreadResponse", thread)
    check("CreatedThreadResponse", post)
    check("MessageResponse", post["message"])
    check("GuildChannelResponse", (await api.call("GET", f"/channels/{forum.id}"))[1])
    check("PinnedMessagesResponse", (await api.call("GET", f"{path}/pins"))[1])
    check("MessageResponse", (await api.call("GET", f"{path}/{sent['id']}"))[1])
    for sound in (await api.call("GET", "/soundboard-default-sounds"))[1]:
        check("SoundboardSoundResponse", sound)


async def test_command_permissions_fit_the_description(api: Api) -> None:
    await api.register(ECHO)
    api.discord.set_command_permissions(api.guild, "echo", {api.ann: True, api.channel: False})
    base = f"/applications/{api.discord.application_id}/guilds/{api.guild.id}/commands"

    for found in (await api.call("GET", f"{base}/permissions"))[1]:
        check("CommandPermissionsResponse", found)
