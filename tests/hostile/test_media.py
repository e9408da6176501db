"""Pictures of messages whose addresses somebody else has written."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

import pytest

from bot.jobs import Attachment
from bot.pictures import DiscordMedia
from bot.pictures.inputs import InputElsewhere
from bot.sandbox.discord import Upload
from bot.sandbox.http.faults import Hold
from bot.store import jobs, members
from cogs.ui.text import sentence
from tests.support.easel import Stage, text_of
from tests.support.files import picture

V2 = 32768
GALLERY, THUMBNAIL, SECTION, TEXT = 12, 11, 9, 10
# Escapes that aiohttp would decode: the signature of the copy would not fit any more.
PATHS = ["/a.png", "/a%3Ab%3Dc.png?x=%2F%3A&y=%3D", "/a%20b.png?signature=a%2Bb%3D%3D"]


def gallery(url: str) -> dict[str, object]:
    return {"flags": V2, "components": [{"type": GALLERY, "items": [{"media": {"url": url}}]}]}


def thumbnail(url: str) -> dict[str, object]:
    accessory = {"type": THUMBNAIL, "media": {"url": url}}
    texts = [{"type": TEXT, "content": "look"}]
    return {
        "flags": V2,
        "components": [{"type": SECTION, "components": texts, "accessory": accessory}],
    }


def embed(url: str) -> dict[str, object]:
    return {"embeds": [{"title": "look", "image": {"url": url}}]}


BODIES = {"gallery": gallery, "thumbnail": thumbnail, "embed": embed}


class Trap:
    """A server of somebody who would like to see requests of the bot."""

    def __init__(self) -> None:
        self.requests = 0
        self.origin = ""

    async def __aenter__(self) -> "Trap":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.origin = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests += 1
        with suppress(ConnectionError):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()


async def edit(at: Stage, body: Mapping[str, object], prompt: str) -> str:
    """Use the message menu on a message of this body; return the text of the reply."""
    message = await at.discord.say(at.ben, at.channel, body=body)
    menu = await at.discord.menu(at.ben, at.channel, "Edit image", message)
    opened = await menu.answered()
    if opened.modal is None:
        return text_of(opened)
    field = opened.modal["components"][0]["component"]["custom_id"]
    sent = await at.discord.submit_modal(at.ben, opened, {field: prompt})
    reply = (await sent.answered()).message
    return reply.text() if reply else ""


@pytest.mark.long
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", BODIES)
async def test_a_foreign_picture_is_discords_copy(at: Stage, kind: str, path: str) -> None:
    async with Trap() as trap, at.easel():
        url = f"{trap.origin}{path}"
        at.discord.world.cdn.foreign[url] = picture()
        await edit(at, BODIES[kind](url), "make it blue")
        await at.result("make it blue")

        assert trap.requests == 0
    (generation,) = at.created()
    assert str(generation["input_image"]).startswith(f"{at.discord.world.cdn.origin}/external/")


@pytest.mark.parametrize("kind", BODIES)
async def test_a_foreign_picture_without_a_copy_is_refused_and_never_fetched(
    at: Stage, kind: str
) -> None:
    async with Trap() as trap, at.easel():
        await edit(at, BODIES[kind](f"{trap.origin}/a.png"), "make it blue")
        await at.said("is no longer available")

        assert trap.requests == 0
    assert not at.created()


MEDIA = [
    *("https://cdn.discordapp.com/attachments/1/2/a.png?ex=1", "http://127.0.0.1:8000/a.png"),
    *("https://media.discordapp.net/a", "https://images-ext-12.discordapp.net/external/a"),
    "https://CDN.discordapp.com:443/a.png",
]
FOREIGN = [
    *("http://cdn.discordapp.com/a.png", "https://cdn.discordapp.com:8443/a.png"),
    *("https://cdn.discordapp.com.evil.example/a", "https://evil.example/cdn.discordapp.com"),
    *("https://x@cdn.discordapp.com/a", "https://cdn.discordapp.com@evil.example/a"),
    *("http://127.0.0.1:8001/a.png", "https://images-ext-x.discordapp.net/a", "a.png", "data:,"),
]


def test_only_addresses_of_discord_are_its_media() -> None:
    media = DiscordMedia(("127.0.0.1", 8000))

    assert [each for each in MEDIA if each not in media] == []
    assert [each for each in FOREIGN if each in media] == []
    assert MEDIA[1] not in DiscordMedia()


async def test_a_stored_foreign_address_is_neither_fetched_nor_handed_on(
    at: Stage,
) -> None:
    """A job of an older version may hold such an address while its picture waits for a download."""
    held = at.discord.faults.add("GET", r"/ephemeral-attachments/.*", Hold())
    async with at.easel():
        await at.edit(Upload("cat.png", picture()))
        await held.reached()
    async with Trap() as trap:
        async with at.database() as database, database.transaction() as tx:
            (job,) = await members.recent_of(tx, at.ada.id, 1)
            inputs = [replace(job.inputs[0], url=f"{trap.origin}/a.png")]
            await jobs.store_inputs(tx, job.id, inputs)
        held.remove()
        async with at.easel():
            await at.said("is not stored at Discord")

        assert trap.requests == 0
    assert not at.created()


def test_the_refusal_names_the_remedy() -> None:
    refused = InputElsewhere(Attachment(name="a.png", url="https://evil.example/a.png"))

    assert sentence(refused, None) == (
        "`a.png` is not stored at Discord. Save the picture, and attach the file."
    )
