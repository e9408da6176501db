"""The conversation that each foreign client holds: a command, a button, a modal, a follow-up.

A client gets `DISCORD_API` (the address with the version), `DISCORD_ORIGIN` (the address before
`/api`) and `DISCORD_TOKEN`. It registers `/hello name`, answers with a file and the button `press`,
opens the modal `form` with the text input `colour`, and answers the modal privately, then with a
public follow-up.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from bot.sandbox.discord import FakeDiscord, Message

HERE = Path(__file__).parent
START_SECONDS = 40.0  # a client that is loaded for the first time, beside other tests
SECONDS = 10.0


@asynccontextmanager
async def client(
    discord: FakeDiscord, command: Sequence[str], more: Mapping[str, str], folder: Path = HERE
) -> AsyncIterator[None]:
    """Run a client until the block ends; its output is part of a failure."""
    where = {
        "DISCORD_API": discord.url,
        "DISCORD_ORIGIN": discord.url.removesuffix("/api/v10"),
        "DISCORD_TOKEN": discord.token,
    }
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env={**os.environ, **where, **more},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = b""
    try:
        yield
    except BaseException as error:
        error.add_note(f"the client is {'alive' if process.returncode is None else 'gone'}")
        raise
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(SECONDS):
                output, _ = await process.communicate()
        except TimeoutError:
            process.kill()
            output, _ = await process.communicate()
        print(output.decode(errors="replace")[-4000:])  # noqa: T201 - shown with a failure


async def converse(discord: FakeDiscord) -> list[Message]:
    """Act for the member, and return the client's messages."""
    guild = discord.add_guild("Foreign")
    channel, ann = discord.add_channel(guild, "general"), discord.add_user("Ann")
    await discord.connected(START_SECONDS)
    await discord.commands_registered(SECONDS)

    used = await discord.command(ann, channel, "hello", {"name": "fox"})
    await used.answered()
    hello = await discord.wait_for_message(lambda one: "Hello fox" in one.text(), SECONDS)
    pressed = await discord.click(ann, hello, "press")
    await pressed.answered()
    submitted = await discord.submit_modal(ann, pressed, {"colour": "red"})
    await submitted.answered()
    private = await discord.wait_for_message(lambda one: "You chose red" in one.text(), SECONDS)
    more = await discord.wait_for_message(lambda one: "And more" in one.text(), SECONDS)

    assert [file.filename for file in hello.files] == ["hello.txt"]
    assert hello.files[0].data == b"a file"
    assert private.ephemeral_to is ann
    assert more.ephemeral_to is None
    assert discord.violations == []
    return [hello, private, more]
