"""The key of this installation's pseudonyms: found, made once, and compared with the one before.

Without the key, nobody can tell whose the pseudonyms in the ledger are, Easel neither. Another key
would find none of them, so that a deletion would renew allowances, and a restored backup would
keep what was deleted. Nothing is deleted then.
"""

import asyncio
import logging
from pathlib import Path

from pydantic import SecretStr

from bot.database_address import database_path, is_postgres
from bot.errors import StartupError
from bot.pictures.store import PictureStore, PicturesUnavailable
from bot.pseudonyms import Journaled, Pseudonyms, make_key, read_key
from bot.settings import Settings
from bot.store.database import Connection, Database, Transaction, read_note, write_note

log = logging.getLogger(__name__)

FILE = "pseudonym.key"  # beside a SQLite file
NOTE = "pseudonym key"  # the fingerprint of the key, since the first deletion
UNSET = (
    "PSEUDONYM_KEY is not set. Set it to at least 32 random characters, the same for all "
    "processes, and store a copy apart from the backups."
)
CHANGED = (
    "{where} is not the key by which members' data was deleted before. Restore that key from its "
    "copy."
)
LOST = (
    "{where} is missing, and members' data was deleted with the key in it. Restore that key from "
    "its copy."
)


def key_path(settings: Settings) -> Path | None:
    """Return the file of the key; None where the setting alone names the key."""
    if settings.pseudonym_key is not None or is_postgres(settings.database_url):
        return None
    return database_path(settings.database_url).with_name(FILE)


def key_of(settings: Settings) -> SecretStr | None:
    """Return the key of the setting, or of the file. StartupError for a damaged file. Blocking."""
    if settings.pseudonym_key is not None:
        return settings.pseudonym_key
    path = key_path(settings)
    return None if path is None else read_key(path)


async def problem_of(
    settings: Settings, view: Connection, pictures: PictureStore, key: SecretStr | None
) -> str:
    """Return why the key cannot be used, with the remedy; empty if it can, or will be made.

    PicturesUnavailable if the store of pictures does not answer.
    """
    path = key_path(settings)
    where = "PSEUDONYM_KEY" if path is None else str(path)
    former = await used_keys(view, pictures)
    if key is None:
        if former:
            return LOST.format(where=where)
        return UNSET if path is None else ""
    if former - {Pseudonyms(key).fingerprint}:
        return CHANGED.format(where=where)
    return ""


async def used_keys(view: Connection, pictures: PictureStore) -> set[str]:
    """Return the fingerprints of the keys by which data was deleted: one, unless one was lost."""
    entries = (Journaled.parse(name) for name in await pictures.erasures())
    found = {each.fingerprint for each in entries if each is not None}
    if noted := await read_note(view, NOTE):
        found.add(noted)
    return found


async def open_pseudonyms(settings: Settings, database: Database, pictures: PictureStore) -> None:
    """Let the database find members by their pseudonyms too; log why that is impossible.

    The first start with a SQLite file makes the key.
    """
    try:
        key = await asyncio.to_thread(key_of, settings)
        async with database.reading() as view:
            problem = await problem_of(settings, view, pictures, key)
        if not problem and key is None and (path := key_path(settings)) is not None:
            key = await asyncio.to_thread(make_key, path)
    except StartupError as error:
        problem, key = str(error), None
    except PicturesUnavailable:  # the note in the database alone decides, until the next start
        async with database.reading() as view:
            noted = await read_note(view, NOTE)
        mine = Pseudonyms(key).fingerprint if key is not None else None
        problem = "" if noted is None or noted == mine else CHANGED.format(where="the key")
    if problem:
        level = logging.WARNING if problem == UNSET else logging.ERROR
        log.log(level, "members cannot delete their data: %s", problem)
        return
    if key is not None:
        database.use_pseudonyms(Pseudonyms(key))


async def note_key(tx: Transaction, pseudonyms: Pseudonyms) -> bool:
    """Store the fingerprint of the key by which data is about to be deleted.

    Return false if another process has deleted data by another key.
    """
    noted = await read_note(tx, NOTE)
    if noted is None:
        await write_note(tx, NOTE, pseudonyms.fingerprint)
    return noted in {None, pseudonyms.fingerprint}
