import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path

import aiohttp
import pytest
from PIL import Image

from bot.sandbox.discord import Channel, FakeDiscord, Interaction, Message, Upload, User
from bot.sandbox.page.render import write_page
from bot.sandbox.page.shown import ShownChannel, shown_channel

V2 = 1 << 15
PRIVATE = 1 << 6
COMMANDS = [
    {
        "name": "imagine",
        "description": "Make a picture",
        "options": [{"type": 3, "name": "prompt", "description": "What to draw"}],
    },
    {
        "name": "credits",
        "description": "Credits",
        "options": [{"type": 1, "name": "grant", "description": "Give credits"}],
    },
]


def picture(width: int = 64, height: int = 48) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), (91, 110, 225)).save(file, "PNG")
    return file.getvalue()


def text(content: str) -> dict[str, object]:
    return {"type": 10, "content": content}


def gallery(*names: str) -> dict[str, object]:
    items = [
        {"media": {"url": f"attachment://{name}"}, "description": f"drawn: {name}"}
        for name in names
    ]
    return {"type": 12, "items": items}


@dataclass
class App:
    """A bot over plain HTTP, with a channel and two members."""

    discord: FakeDiscord
    http: aiohttp.ClientSession
    folder: Path
    ada: User = field(init=False)
    ben: User = field(init=False)
    channel: Channel = field(init=False)

    def __post_init__(self) -> None:
        self.ada, self.ben = self.discord.add_user("Ada"), self.discord.add_user("Ben Noor")
        self.channel = self.discord.add_channel(self.discord.add_guild("Painters"), "art")

    async def call(self, method: str, path: str, body: object, *files: str) -> None:
        headers = {"Authorization": f"Bot {self.discord.token}"}
        data = aiohttp.FormData({"payload_json": json.dumps(body)})
        for number, name in enumerate(files):
            data.add_field(f"files[{number}]", picture(), filename=name)
        sent = {"data": data} if files else {"json": body}
        async with self.http.request(
            method, self.discord.url + path, headers=headers, **sent
        ) as answer:
            assert answer.status < 300, await answer.text()

    async def post(self, *components: object, files: tuple[str, ...] = ()) -> Message:
        body = {"flags": V2, "components": components}
        await self.call("POST", f"/channels/{self.channel.id}/messages", body, *files)
        return self.discord.channel_messages(self.channel)[-1]

    async def answer(self, user: User, name: str, *components: object, flags: int) -> Interaction:
        asked = await self.discord.command(user, self.channel, name)
        body = {"type": 4, "data": {"flags": flags | V2, "components": components}}
        await self.call("POST", f"/interactions/{asked.id}/{asked.token}/callback", body)
        return asked

    def page(self, *, viewer: User | None = None, now: float | None = None) -> str:
        viewer = viewer or self.ada
        channels = [
            shown_channel(self.discord, channel, viewer)
            for channel in (self.channel, self.discord.dm_channel(self.ada))
        ]
        write_page(self.folder / "index.html", channels, viewer=viewer, now=now)
        return (self.folder / "index.html").read_text()


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    async with FakeDiscord() as discord, aiohttp.ClientSession() as http:
        made = App(discord, http, tmp_path)
        await made.call("PUT", f"/applications/{discord.application_id}/commands", COMMANDS)
        yield made


class Elements(HTMLParser):
    """All elements with attributes, and whether all were closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in {"meta", "br", "img", "input"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


async def test_the_page_names_server_channels_viewer_and_author(app: App) -> None:
    await app.post(text("hello"))

    page = app.page()

    for shown in ("Painters", "<i>#</i> art", "<i>@</i> Easel", "<b>Ada</b>", "<b>Easel</b>"):
        assert shown in page
    assert '<span class="badge">APP</span>' in page


async def test_pictures_are_saved_beside_the_page_and_shown_with_their_alt_texts(app: App) -> None:
    await app.post(gallery("fox-1.png", "fox-2.png"), files=("fox-1.png", "fox-2.png"))

    elements = Elements(app.page())

    images = elements.all("img")
    assert [image["alt"] for image in images] == ["drawn: fox-1.png", "drawn: fox-2.png"]
    for image in images:
        assert (app.folder / str(image["src"])).read_bytes() == picture()
    assert (images[0]["width"], images[0]["height"]) == ("64", "48")


async def test_files_of_the_same_name_do_not_replace_each_other(app: App) -> None:
    for _ in range(2):
        await app.post(gallery("fox.png"), files=("fox.png",))

    sources = [image["src"] for image in Elements(app.page()).all("img")]

    assert len({*sources}) == 2
    assert all((app.folder / str(source)).exists() for source in sources)


async def test_every_kind_of_component_is_shown(app: App) -> None:
    button = {"type": 2, "style": 1, "label": "Again", "custom_id": "again"}
    await app.post(
        {
            "type": 17,
            "accent_color": 0x5B6EE1,
            "components": [
                text("### Title"),
                {"type": 14, "divider": True, "spacing": 2},
                {
                    "type": 9,
                    "components": [text("beside")],
                    "accessory": {"type": 11, "media": {"url": "attachment://a.png"}},
                },
                {"type": 13, "file": {"url": "attachment://b.png"}},
                {
                    "type": 1,
                    "components": [
                        button,
                        {"type": 2, "style": 4, "label": "Delete", "custom_id": "delete"},
                        {"type": 2, "style": 2, "label": "Off", "custom_id": "x", "disabled": True},
                        {"type": 2, "style": 5, "label": "Site", "url": "https://a.example/?a=1&b"},
                        {"type": 2, "style": 3, "emoji": {"name": "🎨"}, "custom_id": "e"},
                    ],
                },
                {
                    "type": 1,
                    "components": [{"type": 5, "custom_id": "who", "placeholder": "Who?"}],
                },
            ],
        },
        files=("a.png", "b.png"),
    )

    page = app.page()
    elements = Elements(page)

    kinds = [str(each.get("class")) for each in elements.all("button")]
    assert kinds == ["button primary", "button danger", "button secondary", "button success"]
    assert ["disabled" in each for each in elements.all("button")] == [False, False, True, False]
    assert {"class": "button link", "href": "https://a.example/?a=1&b", "rel": "noreferrer"} in (
        elements.all("a")
    )
    for shown in ("#5b6ee1", "<h3>Title</h3>", "separator s2 line", "b.png", "Who?", "🎨"):
        assert shown in page


async def test_nothing_a_message_says_becomes_markup(app: App) -> None:
    evil = '<script>alert("x")</script><img src=x onerror=alert(1)> [a](javascript:alert(1))'
    item = {"media": {"url": "attachment://a.png"}, "description": f'" onload="alert(1) {evil}'}
    button = {"type": 2, "style": 1, "label": "<b>Go</b>", "custom_id": "go"}
    await app.post(
        text(evil),
        {"type": 12, "items": [item]},
        {"type": 1, "components": [button]},
        files=("a.png",),
    )
    await app.discord.say(app.discord.add_user("<i>Eve</i>"), app.channel, evil)

    elements = Elements(app.page())

    assert elements.all("script") == []
    assert [set(image) for image in elements.all("img")] == [
        {"src", "alt", "title", "width", "height"}
    ]
    assert elements.all("a") == []
    assert not [name for _, found in elements.found for name in found if name.startswith("on")]


async def test_the_page_fetches_nothing_from_anywhere(app: App) -> None:
    await app.post(
        {"type": 12, "items": [{"media": {"url": "https://a.example/x.png"}, "description": "far"}]}
    )

    page = app.page()

    assert "default-src 'none'" in page
    assert "@import" not in page
    assert "url(" not in page
    loads = [each for tag, each in Elements(page).found if "src" in each or tag == "link"]
    assert loads == []
    assert 'href="https://a.example/x.png"' in page


async def test_an_answer_tells_who_used_which_command(app: App) -> None:
    await app.answer(app.ben, "imagine", text("queued"), flags=0)
    await app.answer(app.ben, "credits grant", text("granted"), flags=0)

    page = app.page()

    assert "<b>Ben Noor</b> used" in page
    assert '<span class="mention">/imagine</span>' in page
    assert '<span class="mention">/credits grant</span>' in page


async def test_a_private_answer_says_that_nobody_else_sees_it(app: App) -> None:
    await app.answer(app.ada, "imagine", text("for Ada"), flags=PRIVATE)

    assert "Only you can see this" in app.page()
    assert "for Ada" not in app.page(viewer=app.ben)


async def test_a_deleted_message_is_not_shown_and_leaves_no_file(app: App) -> None:
    gone = await app.post(gallery("a.png"), text("gone"), files=("a.png",))
    channels = [ShownChannel(app.channel, [gone])]
    await app.call("DELETE", f"/channels/{app.channel.id}/messages/{gone.id}", None)

    write_page(app.folder / "index.html", channels, viewer=app.ada)

    assert "gone" not in Elements((app.folder / "index.html").read_text()).rawdata
    assert 'id="m' not in (app.folder / "index.html").read_text()
    assert not (app.folder / "pictures").exists()


async def test_mentions_and_times_are_written_out(app: App) -> None:
    await app.discord.say(app.ada, app.channel, f"<@{app.ada.id}> <#{app.channel.id}> <t:940:R>")

    page = app.page(now=1000)

    assert '<span class="mention">@Ada</span> <span class="mention">#art</span>' in page
    assert ">1 minute ago</time>" in page


async def test_messages_of_one_author_stand_together(app: App) -> None:
    await app.discord.say(app.ada, app.channel, "one")
    await app.discord.say(app.ada, app.channel, "two")
    await app.discord.say(app.ben, app.channel, "three")

    page = app.page()

    assert page.count('<article class="message first"') == 2
    assert page.count('<article class="message"') == 1


async def test_files_of_plain_messages_are_shown(app: App) -> None:
    uploads = [Upload("a.png", picture()), Upload("notes.txt", b"hello", "text/plain")]
    await app.discord.say(app.ada, app.channel, "see", uploads)

    elements = Elements(app.page())

    assert [image["src"] for image in elements.all("img")] == ["pictures/a.png"]
    assert "pictures/notes.txt" in [each["href"] for each in elements.all("a")]
    assert (app.folder / "pictures" / "notes.txt").read_bytes() == b"hello"


async def test_an_embed_is_shown(app: App) -> None:
    body = {
        "embeds": [
            {
                "title": "Title",
                "description": "**Words**",
                "fields": [{"name": "Field", "value": "Value"}],
                "footer": {"text": "Foot"},
                "color": 0xFF0000,
            }
        ]
    }
    await app.call("POST", f"/channels/{app.channel.id}/messages", body)

    page = app.page()

    for shown in ("Title", "<strong>Words</strong>", "Field", "Value", "Foot", "#ff0000"):
        assert shown in page


async def test_all_dates_have_one_format_and_components_one_box(app: App) -> None:
    sent = await app.post(text("<t:1790000000:D>"), text("two"), gallery("a.png"), files=("a.png",))
    day = datetime.fromisoformat(sent.created_at)

    page = app.page()

    assert "21 September 2026" in page
    assert f'<div class="day"><span>{day.day} {day:%B %Y}</span></div>' in page
    assert f'title="{day:%A}, {day.day} {day:%B %Y %H:%M}"' in page
    assert page.count('<div class="components">') == 1
    assert ".of3, .of4 { aspect-ratio: 550 / 350;" in page


async def test_custom_emoji_are_shown_by_name(app: App) -> None:
    guild = next(iter(app.discord.world.guilds.values()))
    fox = app.discord.add_emoji(guild, "fox")
    button = {"type": 2, "style": 1, "custom_id": "c", "emoji": {"id": str(fox.id), "name": "fox"}}
    await app.post({"type": 1, "components": [button]})

    assert ":fox:" in app.page()
