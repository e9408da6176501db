"""The operator's command line."""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from bot.app import open_app
from bot.check.spelling import refuse_misspelt
from bot.errors import StartupError
from bot.observability.logs import start_logging
from bot.settings import Settings
from bot.store.audit import Verification
from bot.store.audit import verify as verify_ledger
from bot.store.database import database_path
from bot.store.inspection import inspected

cli = typer.Typer(
    help="Easel: a Discord bot that makes pictures.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ledger_cli = typer.Typer(help="Look at the ledger of credits.", no_args_is_help=True)
cli.add_typer(ledger_cli, name="ledger")


@cli.callback()
def easel() -> None:
    """Easel: a Discord bot that makes pictures."""


@cli.command()
def run() -> None:
    """Run the bot with the settings of the environment and .env, until it is stopped."""
    settings = Settings.load()
    start_logging(settings.log_level, settings.log_format, settings.secrets)
    refuse_misspelt()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_run(settings))


@cli.command()
def check(
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
    trial: Annotated[
        bool, typer.Option("--try", help="Make one real picture at each service.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before --try.")] = False,
) -> None:
    """Look at everything that a start needs, and say what is wrong and what to do."""
    # What draws on the screen is not loaded for `easel run`.
    from bot.check.run import run_check
    from bot.check.trial import may_cost

    start_logging("ERROR", "console", ())
    if trial and not yes:
        typer.confirm(may_cost(Settings.load()), abort=True, err=True)
    raise SystemExit(asyncio.run(run_check(json=json, trial=trial)))


@cli.command()
def sandbox(
    folder: Annotated[
        Path, typer.Option(help="Where pictures, database and page are left.")
    ] = Path("easel-sandbox"),
) -> None:
    """Try the bot without any account: against stand-ins of Discord and the image APIs."""
    from bot.sandbox.demo.run import run_demo

    raise SystemExit(asyncio.run(run_demo(folder)))


@cli.command()
def backup(
    file: Annotated[Path | None, typer.Argument(help="Where to copy the database.")] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="A folder to copy the kept pictures to.")
    ] = None,
) -> None:
    """Copy the database, also while the bot runs, and the pictures that are not copied yet."""
    from bot.pictures import PictureStore
    from bot.store.backup import back_up
    from bot.store.database import database_path, pictures_folder

    if file is None and pictures is None:
        raise StartupError("Say what to copy: easel backup FILE, --pictures FOLDER, or both.")
    path = database_path(Settings.load().database_url)
    if file is not None:
        typer.echo(f"{file}: {back_up(path, file) / 1_000_000:.1f} MB")
    if pictures is not None:
        try:
            copied = PictureStore(pictures_folder(path)).copy_to(pictures)
        except OSError as error:
            raise StartupError(f"The backup to {pictures} failed: {error}.") from error
        typer.echo(f"{pictures}: {copied} new pictures")


@ledger_cli.command()
def verify() -> None:
    """Recompute every balance from the ledger's entries; exit code 1 where it does not add up."""
    path = database_path(Settings.load().database_url)
    found = asyncio.run(_verify(path))
    for finding in found.findings:
        typer.echo(str(finding))
    typer.echo(found.summary)
    raise SystemExit(bool(found.findings))


async def _verify(path: Path) -> Verification:
    async with inspected(path) as database, database.reading() as view:
        return await verify_ledger(view)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where there is one (not on Windows): answers take three quarters of the time."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _run(settings: Settings) -> None:
    """Until SIGINT or SIGTERM."""
    loop = asyncio.get_running_loop()
    async with open_app(settings) as app:
        # What is loaded now stays: looked through again and again, it would hold up answers
        # for 30 to 50 ms each time.
        gc.collect()
        gc.freeze()
        task = asyncio.ensure_future(app.run())
        for name in (signal.SIGINT, signal.SIGTERM):
            # The first asks, the second is obeyed at once.
            loop.add_signal_handler(name, lambda: task.cancel() if app.stopping else app.stop())
        with suppress(asyncio.CancelledError):
            await task
    logging.getLogger(__name__).info("stopped")


def main() -> None:
    """Run the command; what cannot start says so in one line, with exit code 2."""
    try:
        cli()
    except* StartupError as group:
        sys.exit(_say(_first(group)))


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _say(error: BaseException) -> int:
    print(f"easel: {error}", file=sys.stderr)  # noqa: T201  # the command line's own output
    return 2


if __name__ == "__main__":
    main()
