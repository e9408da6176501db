"""The stand-in with an unmodified discord.py: the views of the bot and of the members."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import discord as library
import pytest
import yarl
from discord import app_commands, ui
from discord.ext import commands
from PIL import Image

from bot.sandbox.discord import Channel, FakeDiscord, Guild, Upload, User
from bot.sandbox.discord import permissions as may
from bot.sandbox.http.faults import Answer

MODEL = app_commands.Choice(name="First", value="one")


def png() -> io.BytesIO:
    file = io.BytesIO()
    Image.new("RGB", (8, 4)).save(file, "PNG")
    file.seek(0)
    return file


class Form(ui.Modal, title="Form"):
    prompt: ui.Label["Form"] = ui.Label(text="Prompt", component=ui.TextInput(custom_id="prompt"))

    async def on_submit(self, interaction: library.Interaction) -> None:
        field = self.prompt.component
        assert isinstance(field, ui.TextInput)
        await interaction.response.edit_message(content=f"form: {field.value}", view=None)


class Keys(ui.View):
    def __init__(self) -> None:
        super().__init__(timeout=None)

    @ui.button(label="Press", custom_id="press")
    async def press(self, interaction: library.Interaction, _: ui.Button["Keys"]) -> None:
        await interaction.response.send_message("pressed", ephemeral=True)
        await interaction.followup.send("more", ephemeral=True)

    @ui.button(label="Form", custom_id="form")
    async def form(self, interaction: library.Interaction, _: ui.Button["Keys"]) -> None:
        await interaction.response.send_modal(Form())


class Studio(commands.Cog):
    @app_commands.command(description="Say it")
    @app_commands.describe(text="What", file="A file")
    async def say(
        self,
        interaction: library.Interaction,
        text: app_commands.Range[str, 1, 20],
        file: library.Attachment | None = None,
    ) -> None:
        content = (await file.read()).decode() if file else text
        await interaction.response.send_message(content, view=Keys())

    @app_commands.command(description="Draw it")
    async def draw(self, interaction: library.Interaction, model: str) -> None:
        await interaction.response.defer(thinking=True)
        view = ui.LayoutView(timeout=None)
        gallery: ui.MediaGallery[ui.LayoutView] = ui.MediaGallery()
        gallery.add_item(media="attachment://a.png", description="black")
        text: ui.TextDisplay[ui.LayoutView] = ui.TextDisplay(f"# {model}")
        view.add_item(ui.Container(text, gallery))
        await interaction.edit_original_response(
            attachments=[library.File(png(), "a.png")], view=view
        )

    @draw.autocomplete("model")
    async def models(self, _: library.Interaction, current: str) -> list[app_commands.Choice[str]]:
        return [MODEL] if current == "o" else []


@app_commands.context_menu(name="Read it")
async def read_it(interaction: library.Interaction, message: library.Message) -> None:
    files = ", ".join(file.filename for file in message.attachments)
    await interaction.response.send_message(f"{message.content} {files}", ephemeral=True)


class Bot(commands.AutoShardedBot):
    def __init__(self) -> None:
        super().__init__("!", intents=library.Intents.default(), guild_ready_timeout=0.02)
        self.resumed = asyncio.Event()

    async def setup_hook(self) -> None:
        await self.add_cog(Studio())
        self.tree.add_command(read_it)
        await self.tree.sync()

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Skip the library's wait of 5 seconds before each identify."""

    async def on_shard_resumed(self, _: int) -> None:
        self.resumed.set()


class Scene:
    def __init__(self, discord: FakeDiscord) -> None:
        self.discord = discord
        self.guild: Guild = discord.add_guild("Test")
        self.channel: Channel = discord.add_channel(self.guild, "general")
        self.ann: User = discord.add_user("Ann")
        self.bot = Bot()

    @property
    def library_channel(self) -> library.TextChannel:
        channel = self.bot.get_channel(self.channel.id)
        assert isinstance(channel, library.TextChannel)
        return channel


@asynccontextmanager
async def running(scene: Scene, patch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Run the bot until the block ends, logged in and ready.

    The sharded client requests the gateway's address only once, so the fallback address is set too.
    """
    discord = scene.discord
    patch.setattr(library.http.Route, "BASE", discord.url)
    default = yarl.URL(discord.gateway.url)
    patch.setattr(library.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", default)
    async with scene.bot:
        task = asyncio.create_task(scene.bot.start(discord.token))
        async with asyncio.timeout(20):
            await discord.connected()
            await scene.bot.wait_until_ready()
        try:
            yield
        finally:
            await scene.bot.close()
            await task
    await discord.disconnected()


@pytest.fixture
async def scene(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    async with FakeDiscord() as discord:
        made = Scene(discord)
        async with running(made, monkeypatch):
            yield made
        assert discord.violations == []


async def test_a_command_is_answered_and_its_buttons_work(scene: Scene) -> None:
    used = await scene.discord.command(scene.ann, scene.channel, "say", {"text": "hello"})
    await used.answered()
    assert used.message is not None
    pressed = await scene.discord.click(scene.ann, used.message, "press")
    await pressed.answered()
    more = await scene.discord.wait_for_message(lambda message: message.content == "more")

    assert used.message.content == "hello"
    assert pressed.message is not None
    assert pressed.message.ephemeral_to is more.ephemeral_to is scene.ann
    assert pressed.followups == [more]
    assert scene.discord.channel_messages(scene.channel) == [used.message]


async def test_a_modal_is_shown_and_its_answer_edits_the_message(scene: Scene) -> None:
    used = await scene.discord.command(scene.ann, scene.channel, "say", {"text": "hello"})
    await used.answered()
    assert used.message is not None
    pressed = await scene.discord.click(scene.ann, used.message, "form")
    await pressed.answered()

    sent = await scene.discord.submit_modal(scene.ann, pressed, {"prompt": "a fox"})
    await sent.answered()

    assert sent.message is used.message
    assert (used.message.content, used.message.buttons()) == ("form: a fox", [])


async def test_a_file_given_to_a_command_can_be_read(scene: Scene) -> None:
    given = {"text": "x", "file": Upload("a.txt", b"inside")}

    used = await scene.discord.command(scene.ann, scene.channel, "say", given)
    await used.answered()

    assert used.message is not None
    assert used.message.content == "inside"


async def test_a_deferred_answer_becomes_a_gallery(scene: Scene) -> None:
    used = await scene.discord.command(scene.ann, scene.channel, "draw", {"model": "one"})
    message = await scene.discord.wait_for_message(lambda message: bool(message.pictures()))

    (url,) = message.pictures()
    assert message is used.message
    assert (message.text(), message.attachments, message.loading) == ("# one", [], False)
    media = message.components[0]["components"][1]["items"][0]["media"]
    assert (media["width"], media["height"]) == (8, 4)
    assert await scene.bot.http.get_from_cdn(url) == png().getvalue()


async def test_options_complete_themselves(scene: Scene) -> None:
    offered = await scene.discord.complete(
        scene.ann, scene.channel, "draw", {"model": "o"}, "model"
    )

    assert offered == [{"name": "First", "value": "one"}]


async def test_a_menu_reads_the_message_it_is_used_on(scene: Scene) -> None:
    file = Upload("a.txt", b"x")
    said = await scene.discord.say(scene.ann, scene.channel, "words", [file])

    used = await scene.discord.menu(scene.ann, scene.channel, "Read it", said)
    await used.answered()

    assert used.message is not None
    assert used.message.content == "words a.txt"


async def test_commands_work_in_direct_messages(scene: Scene) -> None:
    direct = scene.discord.dm_channel(scene.ann)

    used = await scene.discord.command(scene.ann, direct, "say", {"text": "hi"})
    await used.answered()

    assert scene.discord.channel_messages(direct) == [used.message]


async def test_the_bot_writes_edits_reads_and_deletes(scene: Scene) -> None:
    channel = scene.library_channel

    sent = await channel.send("one", nonce="n", file=library.File(png(), "a.png"))
    again = await channel.send("one", nonce="n")
    edited = await sent.edit(content="two", attachments=sent.attachments)
    fetched = await channel.fetch_message(sent.id)
    history = [message.id async for message in channel.history()]

    assert (again.id, edited.content, history) == (sent.id, "two", [sent.id])
    assert await fetched.attachments[0].read() == png().getvalue()
    assert fetched.attachments[0].width == 8
    await sent.delete()
    with pytest.raises(library.NotFound):
        await channel.fetch_message(sent.id)


async def test_a_user_is_written_to_directly(scene: Scene) -> None:
    user = await scene.bot.fetch_user(scene.ann.id)

    await user.send("hello")

    direct = scene.discord.dm_channel(scene.ann)
    assert [one.content for one in scene.discord.channel_messages(direct)] == ["hello"]
    scene.ann.accepts_dms = False
    with pytest.raises(library.Forbidden):
        await user.send("hello")


async def test_permissions_are_the_same_on_both_sides(scene: Scene) -> None:
    channel = scene.library_channel
    assert channel.permissions_for(channel.guild.me).value == may.EVERYONE

    scene.discord.set_bot_permissions(scene.channel, may.VIEW_CHANNEL)
    await scene.bot.wait_for("guild_channel_update", timeout=5)

    assert channel.permissions_for(channel.guild.me).value == may.VIEW_CHANNEL
    with pytest.raises(library.Forbidden):
        await channel.send("x")


async def test_a_dropped_client_resumes_and_misses_nothing(scene: Scene) -> None:
    await scene.discord.drop_gateway()
    used = await scene.discord.command(scene.ann, scene.channel, "say", {"text": "hello"})

    await used.answered()

    async with asyncio.timeout(20):
        await scene.bot.resumed.wait()
    assert used.message is not None
    assert "hello" in used.message.text()


async def test_a_client_follows_a_reconnect_and_an_invalid_session(scene: Scene) -> None:
    await scene.discord.request_reconnect()
    async with asyncio.timeout(20):
        await scene.bot.resumed.wait()

    await scene.discord.invalidate_session()
    await scene.discord.disconnected()
    await scene.discord.connected()
    used = await scene.discord.command(scene.ann, scene.channel, "say", {"text": "hello"})
    await used.answered()
    assert used.message is not None
    assert "hello" in used.message.text()


async def test_an_honest_rate_limit_is_waited_for(scene: Scene) -> None:
    limited = {"message": "slow down", "retry_after": 0.01, "global": False}
    path = "/api/v10/channels/.*/messages"
    rule = scene.discord.faults.add("POST", path, Answer(429, limited, {"Via": "1.1 google"}))

    await scene.library_channel.send("patience")

    assert rule.hits == 1
    scene.discord.faults.add("POST", path, Answer(429, limited))
    with pytest.raises(library.HTTPException):
        await scene.library_channel.send("x")


async def test_a_wrong_token_ends_the_login(monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeDiscord() as discord:
        monkeypatch.setattr(library.http.Route, "BASE", discord.url)
        async with Bot() as bot:
            with pytest.raises(library.LoginFailure):
                await bot.start("wrong")
