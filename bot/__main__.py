"""The operator's command line.

Each command imports what it uses, so that none waits for the libraries of another.
"""

import asyncio
import gc
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from bot.data_commands import data_cli
from bot.errors import StartupError
from bot.ledger_commands import ledger_cli
from bot.shards import Shards
from bot.store.coordination import Role

if TYPE_CHECKING:
    from bot.config import Config

cli = typer.Typer(
    help="Easel: a Discord bot that makes pictures.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

cli.add_typer(ledger_cli, name="ledger")
cli.add_typer(data_cli, name="data")


@cli.callback()
def easel() -> None:
    """Easel: a Discord bot that makes pictures."""


@cli.command()
def run() -> None:
    """Run the bot with the settings of the environment and .env, until stopped by a signal."""
    _serve(Role.ALL)


@cli.command()
def gateway(
    shards: Annotated[str, typer.Option(help="The shards of this process, e.g. 0-3/8.")] = "0/1",
) -> None:
    """Serve the commands of some shards; workers on the same PostgreSQL database do the work."""
    _serve(Role.GATEWAY, Shards.parse(shards))


@cli.command()
def worker() -> None:
    """Advance jobs for the gateways on the same PostgreSQL database."""
    _serve(Role.WORKER)


def _serve(role: Role, shards: Shards | None = None) -> None:
    from bot.check.spelling import refuse_misspelt
    from bot.config import Config
    from bot.observability.logs import start_logging

    config = Config.load()
    start_logging(config.core.log_level, config.core.log_format, config.secrets)
    refuse_misspelt()
    config.check()
    if role is Role.ALL:
        _migrate_beside(config.core.database_url)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_run(config, role, shards))


def _migrate_beside(url: str) -> None:
    """Run `easel migrate` for a SQLite file that needs that, in a process of its own.

    Alembic takes 10 MB, which this process would keep until its end. The child has the lock of the
    file meanwhile. What it says on standard error stays, and its end by an error is this one's.
    """
    from bot.database_address import database_path, is_postgres
    from bot.store.database_file import needs_migration

    if is_postgres(url) or not needs_migration(database_path(url)):
        return
    # Python's -P, and the folder of this very code: a folder `bot` in the working directory is not
    # Easel's. No time-out: a large file takes its time, and half a migration is of no use.
    paths = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    ended = subprocess.run(  # our own interpreter
        [sys.executable, "-P", "-m", "bot", "migrate"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if ended.returncode:
        raise SystemExit(ended.returncode)


@cli.command()
def check(
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
    trial: Annotated[
        bool, typer.Option("--try", help="Make one real picture at each service.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before --try.")] = False,
    register: Annotated[
        bool, typer.Option("--register", help="Register commands that differ at Discord.")
    ] = False,
) -> None:
    """Check everything that a start needs, and print what is wrong with the remedy."""
    from bot.check.run import run_check
    from bot.config import Config
    from bot.observability.logs import start_logging

    start_logging("ERROR", "console", ())
    if trial and not yes:
        from bot.check.trial import trial_question

        typer.confirm(trial_question(Config.load()), abort=True, err=True)
    raise SystemExit(asyncio.run(run_check(json=json, trial=trial, register=register)))


@cli.command()
def sandbox(
    folder: Annotated[
        Path, typer.Option(help="The folder for pictures, database and page.")
    ] = Path("easel-sandbox"),
) -> None:
    """Try the bot without an account, against stand-ins of Discord and the image APIs."""
    from bot.sandbox.demo.run import run_demo

    raise SystemExit(asyncio.run(run_demo(folder)))


@cli.command()
def backup(
    file: Annotated[Path | None, typer.Argument(help="The file to copy the database to.")] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="A folder to copy the stored pictures to.")
    ] = None,
) -> None:
    """Copy the database, also while the bot runs, and the pictures that are not copied yet.

    Of a database of PostgreSQL, only the pictures: pg_dump copies the rows.
    """
    from bot.database_address import database_path, is_postgres
    from bot.pictures import PicturesUnavailable, open_store
    from bot.settings import Settings
    from bot.store.database_file import back_up

    if file is None and pictures is None:
        raise StartupError("Say what to copy: easel backup FILE, --pictures FOLDER, or both.")
    settings = Settings.load()
    if file is not None and is_postgres(settings.database_url):
        raise StartupError(
            "DATABASE_URL: `easel backup FILE` copies SQLite files alone. Copy a database of "
            "PostgreSQL with pg_dump."
        )
    if file is not None:
        size = back_up(database_path(settings.database_url), file)
        typer.echo(f"{file}: {size / 1_000_000:.1f} MB")
    if pictures is not None:
        try:
            copied = asyncio.run(open_store(settings).copy_to(pictures))
        except PicturesUnavailable as error:
            raise StartupError(
                f"The backup to {pictures} failed: PICTURES_URL {error.detail}. Try again."
            ) from error
        except OSError as error:
            raise StartupError(f"The backup to {pictures} failed: {error}.") from error
        typer.echo(f"{pictures}: {copied} new pictures")


@cli.command()
def migrate() -> None:
    """Bring the database to this version's tables. Stop every process that uses it before."""
    from bot.settings import Settings
    from bot.store.database import REVISION

    url = Settings.load().database_url
    found = asyncio.run(_migrate(url))
    typer.echo(
        f"revision {found} is this version's: nothing to do"
        if found == REVISION
        else f"migrated from revision {found} to {REVISION}"
        if found
        else f"created with revision {REVISION}"
    )


async def _migrate(url: str) -> str | None:
    from bot.store.backends import open_database
    from bot.store.database_file import InstanceLock
    from bot.store.sqlite import SQLiteDatabase

    database = open_database(url)
    with ExitStack() as stack:
        if isinstance(database, SQLiteDatabase):
            stack.enter_context(InstanceLock(database.path))
        try:
            return await database.migrate()
        finally:
            await database.close()


@cli.command()
def copy(
    sqlite: Annotated[str, typer.Argument(help="The address of the SQLite file.")],
    postgres: Annotated[str, typer.Argument(help="The address of an empty PostgreSQL database.")],
) -> None:
    """Copy all rows of a SQLite file to PostgreSQL, and compare them. No bot may run on either.

    The password may be in PGPASSWORD or in a password file instead of the address, which other
    users of this machine can see.
    """
    from bot.database_address import database_path, is_postgres

    with _named("SQLITE"):
        path = database_path(sqlite)
    if not is_postgres(postgres):
        raise StartupError("POSTGRES is not the address of a database. Begin with postgresql://.")
    typer.echo(f"{asyncio.run(_copy(path, postgres))} rows copied and compared; they add up")


async def _copy(path: Path, url: str) -> int:
    from bot.store.backends import open_database
    from bot.store.copying import copy_rows
    from bot.store.database_file import InstanceLock
    from bot.store.sqlite import SQLiteDatabase

    source = SQLiteDatabase(path)
    with InstanceLock(path):
        try:
            with _named("SQLITE"):
                await source.check()
            with _named("POSTGRES"):
                async with open_database(url) as target:
                    return await copy_rows(source, target)
        finally:
            await source.close()


@contextmanager
def _named(argument: str) -> Iterator[None]:
    """Let an error name the argument of the command in place of the setting."""
    try:
        yield
    except StartupError as error:
        raise StartupError(str(error).replace("DATABASE_URL:", f"{argument}:", 1)) from error


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's, if installed (not on Windows): replies take a quarter less time."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _run(config: "Config", role: Role, shards: Shards | None) -> None:
    """Run until SIGINT or SIGTERM."""
    from bot.app import open_app

    loop = asyncio.get_running_loop()
    async with open_app(config, role=role, shards=shards) as app:
        # Objects that exist now stay: each full collection of them would delay replies by 30 to
        # 50 ms.
        gc.collect()
        gc.freeze()
        task = asyncio.ensure_future(app.run())
        for name in (signal.SIGINT, signal.SIGTERM):
            # The first signal stops in order, the second at once.
            loop.add_signal_handler(name, lambda: task.cancel() if app.stopping else app.stop())
        with suppress(asyncio.CancelledError):
            await task
    logging.getLogger(__name__).info("stopped")


def main() -> None:
    """Run the command. A StartupError becomes one line on standard error and exit code 2.

    Files and folders that the command makes are its user's alone: they hold prompts and pictures.
    """
    os.umask(0o077)
    code: object = 0
    try:
        cli()
    except* StartupError as group:
        code = _say(_first(group))
    except* SystemExit as group:
        code = getattr(_first(group), "code", None) or 0
    _leave(int(code) if isinstance(code, int) else 1)


def _leave(code: int) -> NoReturn:
    """End the process.

    After requests to a bucket, Python is not ended in order: a thread of the library that takes the
    lock of the interpreter at that moment would abort the process, once in 25 times.
    """
    if "obstore" in sys.modules:
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):  # of a closed pipe
                stream.flush()
        os._exit(code)
    sys.exit(code)


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _say(error: BaseException) -> int:
    print(f"easel: {error}", file=sys.stderr)  # noqa: T201  # the command line's own output
    return 2


if __name__ == "__main__":
    main()
