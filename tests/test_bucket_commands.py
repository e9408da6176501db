"""PICTURES_URL on the command line: one line with the setting and the remedy, and the exit code."""

import asyncio
import json
import signal
from pathlib import Path

import pytest

from bot.pictures import FileStore
from bot.sandbox.demo.process import run_bot
from tests.support.bucket import SECRET, Bucket, environment
from tests.support.command_line import Ended, easel
from tests.support.easel import KEY, TOKEN, Stage
from tests.support.files import picture

pytestmark = pytest.mark.long


def settings_of(at: Stage, **changes: str) -> dict[str, str]:
    return {
        "DISCORD_TOKEN": TOKEN,
        "DISCORD_API_URL": at.discord.url,
        "OXEN_API_KEY": KEY,
        "OXEN_API_URL": at.oxen.url,
        "PRIVATE_HOSTS": at.private_hosts,
        "DATABASE_URL": f"sqlite:///{at.path}",
        "SERVERS": str(at.server.id),
        "BUDGET_MONTHLY": "1000",
        **changes,
    }


async def run(at: Stage, *arguments: str, **changes: str) -> Ended:
    ended = await easel(at.folder, *arguments, **settings_of(at, **changes))
    assert SECRET not in ended.out + ended.errors
    return ended


async def refused(at: Stage, **changes: str) -> str:
    """Return the line of `easel run`, and hold it against that of `easel check`."""
    ended = await run(at, "run", **changes)
    assert ended.code == 2
    (line,) = ended.errors.splitlines()
    assert line.startswith("easel: ")
    checked = await run(at, "check", "--json", **changes)
    assert checked.code == 1
    wrong = [each for each in json.loads(checked.out)["lines"] if each["state"] == "wrong"]
    (found,) = wrong
    assert found["finding"] in line
    return line


async def test_what_prevents_a_start_is_named(at: Stage, bucket: Bucket) -> None:
    keys = environment(bucket)
    said = await refused(at, PICTURES_URL="ftp://somewhere")
    assert said == (
        "easel: PICTURES_URL: Value error, must begin with one of file:///, s3://, gs://, az://. "
        "Correct it in .env."
    )
    said = await refused(at, PICTURES_URL="s3://no-such-bucket", **keys)
    assert "s3://no-such-bucket does not exist. Create the bucket" in said
    (at.folder / "file").write_text("")
    said = await refused(at, PICTURES_URL=f"file://{at.folder}/file")
    assert "cannot be written: " in said
    assert said.endswith("Name a folder that Easel may write.")
    with bucket.server.failing("PUT", status="403 Forbidden", code="AccessDenied"):
        said = await refused(at, PICTURES_URL=bucket.url, **keys)
    assert "may not be written to (AccessDenied). Allow the credentials" in said


async def test_a_bucket_in_order_is_checked_and_backed_up(
    at: Stage, bucket: Bucket, tmp_path: Path
) -> None:
    data = picture()
    made = await bucket.store(at.folder).store(data)
    settings = {"PICTURES_URL": bucket.url, **environment(bucket)}

    checked = await run(at, "check", **settings)
    assert checked.code == 0
    assert f"{bucket.url} can be read and written" in checked.out
    target = tmp_path / "backup"
    for count in (1, 0):
        ended = await run(at, "backup", "--pictures", str(target), **settings)
        assert (ended.code, ended.out) == (0, f"{target}: {count} new pictures\n")
    assert await FileStore(target).read(made) == data

    with bucket.server.failing():
        ended = await run(at, "backup", "--pictures", str(target), **settings)
    assert ended.code == 2
    assert ended.errors.startswith(
        f"easel: The backup to {target} failed: PICTURES_URL does not answer"
    )
    assert len(ended.errors.splitlines()) == 1


async def test_a_bot_with_a_bucket_survives_a_kill_and_stops_in_order(
    at: Stage, bucket: Bucket
) -> None:
    settings = settings_of(at, PICTURES_URL=bucket.url, **environment(bucket))
    at.oxen.manual = True
    async with run_bot(at.folder, settings) as bot:
        await at.discord.connected(60)
        await at.discord.commands_registered()
        await at.imagine("a fox")
        await at.said("Drawing")
        written = asyncio.Event()
        loop = asyncio.get_running_loop()

        def kill(method: str, _: str) -> None:
            if method == "PUT" and not written.is_set():
                bot.send(signal.SIGKILL)
                loop.call_soon_threadsafe(written.set)

        bucket.server.before = kill
        await at.finish()
        async with asyncio.timeout(20):
            await written.wait()
    bucket.server.before = None
    async with run_bot(at.folder, settings) as bot:
        await at.result("a fox")
        (job,) = await at.settled()
        bot.terminate()
        async with asyncio.timeout(20):
            assert await bot.ended() == 0

    assert len(at.created()) == 1
    assert await at.balance() == -(job.cost or 0)
    assert [key for key in bucket.keys if not key.startswith("probe/")] == list(bucket.keys)
    assert SECRET not in (at.folder / "easel.log").read_text()


async def test_a_folder_of_its_own_is_used(at: Stage, tmp_path: Path) -> None:
    folder = tmp_path / "other place"
    async with at.easel(pictures_url=folder.as_uri()):
        await at.imagine("a fox")
        await at.result("a fox")
    assert len(await FileStore(folder).files()) == 1
    assert not (at.folder / "pictures").exists()
