"""The page's view of results that people keep working with: replies, threads, modals, spoilers."""

from typing import Any

import pytest

from bot.sandbox.discord import ChannelKind, Interaction, Message, Upload
from bot.sandbox.discord import permissions as may
from bot.sandbox.page.render import write_page
from bot.sandbox.page.shown import shown_channel
from tests.sandbox.test_page import PRIVATE, App, Elements, app, gallery, picture, text

__all__ = ["app"]  # the fixture


def row(*labels: str, **more: object) -> dict[str, Any]:
    buttons = [{"type": 2, "style": 2, "label": label, "custom_id": label} for label in labels]
    return {"type": 1, "components": [each | more for each in buttons]}


def label(name: str, component: dict[str, Any], **more: object) -> dict[str, Any]:
    return {"type": 18, "label": name, "component": component, **more}


OPTIONS = [
    {"label": "Square", "value": "1:1", "default": True, "description": "one to one"},
    {"label": "Wide <b>", "value": "16:9"},
]
FORM = [
    {"type": 10, "content": "**Before**"},
    label(
        "Prompt",
        {"type": 4, "custom_id": "p", "style": 2, "value": "a fox", "max_length": 2000},
        description="What to draw",
    ),
    label("Shape", {"type": 3, "custom_id": "s", "options": OPTIONS}),
    label("Count", {"type": 21, "custom_id": "c", "options": OPTIONS}),
    label("Files", {"type": 19, "custom_id": "f", "max_values": 3, "required": False}),
]
FURTHER = [
    label("Options", {"type": 22, "custom_id": "o", "options": OPTIONS, "required": False}),
    label("Sure", {"type": 23, "custom_id": "y", "default": True}),
    label("Name", {"type": 4, "custom_id": "n", "style": 1, "placeholder": "yours"}),
]


async def result(app: App) -> Message:
    return await app.post(
        gallery("fox.png"),
        text("-# made from [this](https://a.example)"),
        row("Again", "Remix"),
        files=("fox.png",),
    )


async def respond(app: App, used: Interaction, body: object) -> None:
    await app.call("POST", f"/interactions/{used.id}/{used.token}/callback", body)


async def modal(app: App, message: Message, title: str, components: object) -> Interaction:
    pressed = await app.discord.click(app.ada, message, "Remix")
    data = {"custom_id": "m", "title": title, "components": components}
    await respond(app, pressed, {"type": 9, "data": data})
    return pressed


async def test_a_reply_names_the_author_and_the_words_that_it_answers(app: App) -> None:
    first = await app.discord.say(app.ben, app.channel, "## one **two**\nthree")
    await app.discord.say(app.ada, app.channel, "four", reply_to=first)
    posted = await app.post(gallery("a.png"), files=("a.png",))
    await app.discord.say(app.ada, app.channel, "five", reply_to=posted, ping=False)

    page = app.page()
    replied = Elements(page).all("a")

    assert [each["href"] for each in replied] == [f"#m{first.id}", f"#m{posted.id}"]
    assert "<b>@Ben Noor</b><span>one <strong>two</strong></span></a>" in page
    assert "<b>Easel</b><span><i>Click to see attachment</i>" in page


async def test_a_reply_shows_no_link_of_the_other_message_inside_its_own(app: App) -> None:
    first = await app.discord.say(app.ben, app.channel, "see [this](https://a.example/x) now")
    await app.discord.say(app.ada, app.channel, "four", reply_to=first)

    assert "<span>see this now</span></a>" in app.page()


async def test_a_reply_to_a_message_that_is_gone_or_private_says_so(app: App) -> None:
    first = await app.discord.say(app.ben, app.channel, "one")
    await app.discord.say(app.ada, app.channel, "two", reply_to=first)
    app.discord.delete(app.ben, first)
    used = await app.answer(app.ada, "imagine", text("hidden words"), flags=PRIVATE)
    path = f"/webhooks/{app.discord.application_id}/{used.token}"
    await app.call("POST", path, {"content": "public"})

    assert "Original message was deleted" in app.page()
    assert "hidden words" not in app.page(viewer=app.ben)
    assert "Message could not be loaded." in app.page(viewer=app.ben)


async def test_a_thread_stands_below_its_message_with_its_own_messages(app: App) -> None:
    posted = await result(app)
    path = f"/channels/{app.channel.id}/messages/{posted.id}/threads"
    await app.call("POST", path, {"name": "Fox <project>"})
    thread = app.discord.world.channels[posted.id]
    await app.discord.say(app.ada, thread, "inside", [Upload("in.png", picture())])
    await app.discord.say(app.ben, app.channel, "afterwards")

    page = app.page()

    start, end = page.index('<details class="thread"'), page.index("</details>")
    assert f'id="m{posted.id}"' in page[:start]
    assert "<b>Fox &lt;project&gt;</b><span>2 Messages ›</span>" in page[start:end]
    assert "inside" in page[start:end]
    assert "pictures/in.png" in page[start:end]
    assert page[start:end].count("pictures/fox.png") == 1  # of the message at which it starts
    assert "afterwards" in page[end:]
    assert page.count('class="day"') == 2  # one for each


async def test_a_thread_without_a_message_is_announced(app: App) -> None:
    path = f"/channels/{app.channel.id}/threads"
    await app.call("POST", path, {"name": "Loose", "type": 11})
    private = app.discord.add_channel(
        app.channel.guild or app.discord.add_guild("x"),
        "Quiet",
        kind=ChannelKind.PRIVATE_THREAD,
        parent=app.channel,
    )
    app.discord.archive_thread(private)

    page = app.page()

    assert "🧵 <b>Easel</b> started a thread: <b>Loose</b>." in page
    assert page.count('<details class="thread"') == 2
    assert "<b>Quiet</b><span>0 Messages ›</span><i>Archived</i>" in page


async def test_a_pin_is_announced(app: App) -> None:
    said = await app.discord.say(app.ada, app.channel, "one")
    app.discord.set_permissions(
        app.channel.guild or app.discord.add_guild("x"), app.ben, may.PIN_MESSAGES
    )
    app.discord.pin(app.ben, said)

    assert "📌 <b>Ben Noor</b> pinned a message" in app.page()


async def test_an_opened_modal_is_a_card_below_the_message_of_its_button(app: App) -> None:
    posted = await result(app)
    await modal(app, posted, "Remix", FORM)
    await modal(app, posted, "Further", FURTHER)
    await app.discord.say(app.ben, app.channel, "afterwards")

    page = app.page()
    card = page[page.index('<aside class="modal">') : page.rindex("</aside>")]

    assert page.index(f'id="m{posted.id}"') < page.index(card) < page.index("afterwards")
    assert "<strong>Before</strong>" in card
    assert "<b>Prompt<em>*</em></b><small>What to draw</small>" in card
    assert '<div class="input long">a fox<u>5/2000</u></div>' in card
    assert "<summary><b>Square</b></summary>" in card
    assert '<div class="option">Wide &lt;b&gt;</div>' in card
    assert card.count('<span class="radio on">') == 1
    assert "<b>Files</b>" in card
    assert "Upload up to 3 files" in card
    assert card.count('<span class="box on">') == 2
    assert '<div class="input short"><i>yours</i></div>' in card
    assert card.count("one to one") == 3
    Elements(page)


async def test_a_modal_is_shown_once_and_only_to_its_member(app: App) -> None:
    posted = await result(app)
    await modal(app, posted, "Remix", FORM)
    await modal(app, posted, "Remix", FORM)

    assert app.page().count('<aside class="modal">') == 1
    assert '<aside class="modal">' not in app.page(viewer=app.ben)


async def test_the_modal_of_a_command_stands_where_it_was_opened(app: App) -> None:
    data = {"custom_id": "m", "title": "First", "components": FURTHER}
    for title, said in (("First", "one"), ("Second", "two")):
        used = await app.discord.command(app.ada, app.channel, "imagine")
        await respond(app, used, {"type": 9, "data": data | {"title": title}})
        await app.discord.say(app.ada, app.channel, said)

    page = app.page()

    order = [page.index(f">{each}<") for each in ("First", "one", "Second", "two")]
    assert order == sorted(order)
    assert page.count('<aside class="modal">') == 2


async def test_spoilers_have_a_cover(app: App) -> None:
    item = {"media": {"url": "attachment://a.png"}, "description": "a fox", "spoiler": True}
    await app.post({"type": 12, "items": [item]}, files=("a.png",))

    page = app.page()

    assert '<figure class="hidden-until-hover"><img' in page
    assert 'content: "SPOILER"' in page


async def test_a_picture_named_by_its_address_is_the_saved_file(app: App) -> None:
    posted = await app.post(gallery("fox.png"), files=("fox.png",))
    url = posted.pictures()[0]
    thumbnail = {"type": 11, "media": {"url": url}, "description": "small"}
    section = {"type": 9, "components": [text("beside")], "accessory": thumbnail}
    await app.answer(app.ada, "imagine", section, flags=PRIVATE)

    images = Elements(app.page()).all("img")

    assert [image["src"] for image in images] == ["pictures/fox.png"] * 2
    assert images[1]["alt"] == "small"


@pytest.mark.parametrize(("default", "shown"), [(True, "<b>@Ada</b>"), (False, "Who?")])
async def test_selects_show_the_choice_or_the_placeholder(
    app: App, default: bool, shown: str
) -> None:
    select: dict[str, Any] = {"type": 5, "custom_id": "w", "placeholder": "Who?"}
    if default:
        app.discord.set_permissions(app.channel.guild or app.discord.add_guild("x"), app.ada, 0)
        select["default_values"] = [{"id": str(app.ada.id), "type": "user"}]
    await app.post({"type": 1, "components": [select]})

    assert f"<summary>{shown}</summary>" in app.page()


async def test_five_buttons_show_labels_and_emoji(app: App) -> None:
    names = ("Again", "Remix", "Edit", "More", "Delete")
    posted = await app.post(row(*names, emoji={"name": "🎨"}))

    page = app.page()

    assert all(f"<i>🎨</i>{name}</button>" in page for name in names)
    assert page.count('<div class="row">') == 1
    assert f'id="m{posted.id}"' in page


async def test_a_channel_shows_what_its_member_sees(app: App) -> None:
    await app.answer(app.ben, "imagine", text("for Ben"), flags=PRIVATE)
    shown = shown_channel(app.discord, app.channel, app.ben)

    write_page(app.folder / "index.html", [shown], viewer=app.ben)

    assert "for Ben" in (app.folder / "index.html").read_text()
