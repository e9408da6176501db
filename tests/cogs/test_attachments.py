"""Pictures of messages: those that Discord names, and their fresh addresses."""

import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import discord
import pytest

from bot.delivery import InputsGone, NotDelivered
from bot.jobs import Attachment, Job
from bot.sandbox.discord import Channel, FakeDiscord, Message, Upload
from bot.sandbox.http.faults import Answer
from cogs.delivery.attachments import pictures_in, read_addresses
from tests.support.discord_objects import job_of, logged_in, message_of
from tests.support.files import picture

CDN = "https://cdn.discordapp.com/attachments/1/2"
COPY = "https://media.discordapp.net/external/x"


def file(name: str, kind: str | None = "image/png", number: int = 1) -> Mapping[str, Any]:
    return {
        "id": str(number),
        "filename": name,
        "size": 900,
        "url": f"{CDN}/{name}?ex=1",
        "proxy_url": f"{COPY}/{name}",
        "content_type": kind,
        "width": 48,
        "height": 32,
    }


def media(name: str, *, copied: bool = True) -> Mapping[str, Any]:
    return {
        "url": f"https://elsewhere.invalid/{name}",
        "proxy_url": f"{COPY}/{name}" if copied else None,
        "width": 9,
        "height": 8,
    }


def names(message: discord.Message) -> list[str]:
    return [each.name for each in pictures_in(message)]


async def test_files_are_pictures_unless_discord_calls_them_something_else(
    client: discord.Client,
) -> None:
    message = message_of(
        client,
        {
            "attachments": [
                file("a.png"),
                file("b.txt", "text/plain"),
                file("c.bin", None),
                file("d.mp4", "video/mp4"),
                file("e.webp", "image/webp"),
            ]
        },
    )

    assert names(message) == ["a.png", "c.bin", "e.webp"]
    assert pictures_in(message)[0] == Attachment(
        "a.png", f"{CDN}/a.png?ex=1", size=900, width=48, height=32
    )


async def test_pictures_of_components_and_previews_are_discords_own_copies(
    client: discord.Client,
) -> None:
    gallery = {"type": 12, "id": 1, "items": [{"media": media("in-gallery.png")}]}
    thumbnail = {"type": 11, "id": 2, "media": media("beside.png")}
    text = {"type": 10, "id": 3, "content": "a fox"}
    section = {"type": 9, "id": 4, "components": [text], "accessory": thumbnail}
    message = message_of(
        client,
        {
            "components": [{"type": 17, "id": 5, "components": [gallery, section]}],
            "embeds": [
                {"type": "rich", "image": media("shown.png"), "thumbnail": media("small.png")},
                {"type": "rich", "image": media("never.png", copied=False)},
                {"type": "rich"},
            ],
        },
    )

    assert names(message) == ["in-gallery.png", "beside.png", "shown.png", "small.png"]
    assert pictures_in(message)[0] == Attachment(
        "in-gallery.png", f"{COPY}/in-gallery.png", width=9, height=8
    )


async def test_a_picture_without_a_name_in_its_address_is_called_picture(
    client: discord.Client,
) -> None:
    unnamed = {"type": "rich", "image": media("")}

    assert names(message_of(client, {"embeds": [unnamed]})) == ["picture"]


async def test_a_picture_that_is_named_twice_is_one(client: discord.Client) -> None:
    """The address of a file and that of a copy differ by more than the signature."""
    again = {**file("a.png"), "url": f"{CDN}/a.png?ex=2"}
    shown = {"type": "rich", "image": {**media("a.png"), "proxy_url": f"{CDN}/a.png"}}
    message = message_of(client, {"attachments": [file("a.png"), again], "embeds": [shown]})

    assert [each.url for each in pictures_in(message)] == [f"{CDN}/a.png"]


async def test_forwarded_pictures_are_in_the_message(client: discord.Client) -> None:
    forwarded = {
        "message": {
            "type": 0,
            "content": "",
            "embeds": [{"type": "rich", "image": media("preview.png")}],
            "attachments": [file("far.png")],
            "timestamp": "2026-11-21T12:00:00+00:00",
            "edited_timestamp": None,
            "flags": 0,
            "mentions": [],
            "mention_roles": [],
            "components": [],
        }
    }
    message = message_of(
        client,
        {
            "attachments": [file("near.png")],
            "message_snapshots": [forwarded],
            "message_reference": {"type": 1, "message_id": "3", "channel_id": "7"},
        },
    )

    assert names(message) == ["near.png", "far.png", "preview.png"]


class Conversation:
    """A result, and the reply with pictures that requested a job."""

    def __init__(self, fake: FakeDiscord) -> None:
        self.fake = fake
        self.ada = fake.add_user("Ada")
        self.channel: Channel = fake.dm_channel(self.ada)
        self.result: Message | None = None
        self.said: Message | None = None

    async def begin(self) -> None:
        fox = Upload("fox.png", picture())
        self.result = await self.fake.say(self.ada, self.channel, "result", [fox])
        files = [Upload("cat.png", picture()), Upload("fox.png", picture())]
        self.said = await self.fake.say(self.ada, self.channel, "add snow", files)

    def job(self, *inputs: Attachment) -> Job:
        assert self.result is not None
        assert self.said is not None
        job = job_of(inputs=inputs, origin_id=self.said.id)
        route = replace(job.route, channel_id=self.channel.id, reply_to_id=self.result.id)
        return replace(job, route=route)

    def url(self, message: Message | None, number: int = 0) -> str:
        assert message is not None
        return str(message.to_json()["attachments"][number]["url"])


@pytest.fixture
async def talk() -> AsyncIterator[Conversation]:
    now = time.time()  # held: the time of the signature is in every address
    async with FakeDiscord(clock=lambda: now) as fake:
        made = Conversation(fake)
        await made.begin()
        yield made


async def test_addresses_are_read_again_from_both_messages(talk: Conversation) -> None:
    """By the path of the address; by the name alone where no address is stored."""
    cat = Attachment("other.png", talk.url(talk.said).partition("?")[0] + "?ex=old")
    fox = Attachment("fox.webp", "")  # the first one is that of the result
    async with logged_in(talk.fake) as client:
        found = await read_addresses(client, talk.job(cat, fox))

    assert found == [talk.url(talk.said), talk.url(talk.result)]


async def test_a_picture_that_is_in_no_message_is_gone(talk: Conversation) -> None:
    async with logged_in(talk.fake) as client:
        with pytest.raises(InputsGone, match="no longer in its message"):
            await read_addresses(client, talk.job(Attachment("hen.png", "")))


async def test_only_discord_itself_says_that_a_message_is_deleted(talk: Conversation) -> None:
    job = talk.job(Attachment("cat.png", ""))
    async with logged_in(talk.fake) as client:
        page = Answer(404, "<html>", {"Content-Type": "text/html"})
        talk.fake.faults.add("GET", r".*/messages/\d+", page)
        with pytest.raises(NotDelivered) as passes:
            await read_addresses(client, job)
        assert talk.said is not None
        talk.fake.delete(talk.ada, talk.said)
        with pytest.raises(InputsGone, match="was deleted"):
            await read_addresses(client, job)

    assert not isinstance(passes.value, InputsGone)


async def test_an_answer_that_cannot_be_read_is_asked_for_later(talk: Conversation) -> None:
    async with logged_in(talk.fake) as client:
        talk.fake.faults.add("GET", r".*/messages/\d+", Answer(200, {"id": "1"}))
        with pytest.raises(NotDelivered) as raised:
            await read_addresses(client, talk.job(Attachment("cat.png", "")))

    assert not isinstance(raised.value, InputsGone)
