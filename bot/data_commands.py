"""The operator's commands for the data of one member: `easel data …`, also beside a running bot.

The commands import the settings and the database, so that others do without.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.backoff import utc_now
from bot.errors import NotNow, StartupError
from bot.ledger_commands import id_of

if TYPE_CHECKING:
    from bot.settings import Settings

data_cli = typer.Typer(help="Export or delete the data of a member.", no_args_is_help=True)

ZIP_BYTES = 2_000_000_000  # of one file: every program opens such a ZIP file


@data_cli.command()
def export(
    user: Annotated[str, typer.Argument(help="The member's id at Discord.")],
    folder: Annotated[Path, typer.Argument(help="The folder for the files; a new or empty one.")],
) -> None:
    """Write everything that is stored about a member into ZIP files of 2 GB at most.

    For a member who cannot use /mydata export, or has more pictures than that sends.
    """
    from bot.settings import Settings

    user_id, settings = id_of("USER", user), Settings.load()
    _prepare(folder)
    files, left_out = asyncio.run(_export(settings, user_id, folder))
    for file in files:
        typer.echo(f"{file}: {file.stat().st_size / 1_000_000:.1f} MB")
    if left_out:
        typer.echo(f"{left_out} pictures left out, as the table left-out in the last file says")


@data_cli.command()
def delete(
    user: Annotated[str, typer.Argument(help="The member's id at Discord.")],
    results: Annotated[
        bool, typer.Option("--results", help="Delete the posted results at Discord too.")
    ] = False,
) -> None:
    """Let the bot delete everything that is stored about a member, as /mydata delete does.

    For a member who has left, or cannot use Discord any more.
    """
    from bot.erase_command import request_deletion
    from bot.settings import Settings

    user_id = id_of("USER", user)
    typer.echo(asyncio.run(request_deletion(Settings.load(), user_id, with_results=results)))


def _prepare(folder: Path) -> None:
    """Make the folder; StartupError if it has files of others, or cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        empty = not any(folder.iterdir())
    except FileExistsError:
        raise StartupError(f"{folder} is a file. Name a folder that does not exist.") from None
    except OSError as error:
        raise StartupError(f"{folder} cannot be used: {error.strerror}.") from None
    if not empty:
        raise StartupError(f"{folder} is not empty. Name a folder that does not exist.")


async def _export(settings: "Settings", user_id: int, folder: Path) -> tuple[list[Path], int]:
    """Write the files, and return them with the number of pictures that none has. StartupError."""
    from bot.pictures import PicturesUnavailable, open_store
    from bot.pseudonym_key import key_of
    from bot.pseudonyms import Pseudonyms
    from bot.store.backends import inspected
    from bot.store.exporting import MemberRows
    from bot.studio.export.collect import Bounds, Export, ExportNotWritten

    @asynccontextmanager
    async def new_file() -> AsyncIterator[Path]:
        path = folder / "easel-data.unfinished"
        try:
            path.touch()
            yield path
        finally:
            path.unlink(missing_ok=True)

    files: list[Path] = []
    left_out = 0
    try:
        async with inspected(settings.database_url) as database:
            if key := key_of(settings):
                database.use_pseudonyms(Pseudonyms(key))
            rows = MemberRows(database, user_id)
            if not await rows.exist():
                raise StartupError(
                    f"Nothing is stored about the user {user_id}. Compare the id with the member's "
                    "at Discord (Copy User ID)."
                )
            export = Export(rows, open_store(settings), Bounds(ZIP_BYTES), utc_now(), new_file)
            async with aclosing(export.parts()) as parts:
                async for part in parts:
                    files.append(await asyncio.to_thread(part.path.replace, folder / part.name))
                    left_out = part.left_out
    except PicturesUnavailable as error:
        raise StartupError(
            f"The export to {folder} failed: PICTURES_URL {error.detail}. Empty the folder, and "
            "try again."
        ) from error
    except ExportNotWritten as error:
        raise StartupError(
            f"The export to {folder} failed: {error.detail}. Empty the folder, and name one with "
            "more space."
        ) from error
    except NotNow:
        raise StartupError(
            "The database cannot be used at the moment. Empty the folder, and try again."
        ) from None
    return files, left_out
