"""The key of this installation's pseudonyms: read or made, and compared with the former key.

Without the key, nobody can tell which member a pseudonym in the ledger stands for. With another
key, a deletion would renew allowances, and deleted data would come back with a restored backup. So
nothing is deleted without the former key.
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
    "{where} is missing, and members' data was deleted by that key before. Restore the key from "
    "its copy."
)
PICTURES_AWAY = (
    "There is no key yet, and the stored pictures cannot be read. Restart Easel when they can."
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
    """Return why the key cannot be used, with the remedy; empty if the key can be used, or made.

    PicturesUnavailable if the store of pictures does not answer.
    """
    return _problem(settings, key, await _noted_key(view) | await _journaled_keys(pictures))


def _problem(settings: Settings, key: SecretStr | None, former: set[str]) -> str:
    """Compare the key with the fingerprints of those by which data was deleted before."""
    path = key_path(settings)
    where = "PSEUDONYM_KEY" if path is None else str(path)
    if key is not None:
        return CHANGED.format(where=where) if former - {Pseudonyms(key).fingerprint} else ""
    if former:
        return LOST.format(where=where)
    return UNSET if path is None else ""


async def _noted_key(view: Connection) -> set[str]:
    noted = await read_note(view, NOTE)
    return set() if noted is None else {noted}


async def _journaled_keys(pictures: PictureStore) -> set[str]:
    entries = (Journaled.parse(name) for name in await pictures.erasures())
    return {each.fingerprint for each in entries if each is not None}


async def open_pseudonyms(settings: Settings, database: Database, pictures: PictureStore) -> None:
    """Let the database find members by their pseudonyms too; log why that is impossible.

    The first start with a SQLite file makes the key, unless the store of pictures is away: the
    journal there may name a lost one.
    """
    try:
        key = await asyncio.to_thread(key_of, settings)
        async with database.reading() as view:
            noted = await _noted_key(view)
        try:
            former = noted | await _journaled_keys(pictures)
        except PicturesUnavailable as error:
            if key is None:
                raise StartupError(PICTURES_AWAY) from error
            former = noted
        problem, path = _problem(settings, key, former), key_path(settings)
        if key is None and not problem and path is not None:
            key = await asyncio.to_thread(make_key, path)
    except StartupError as error:
        problem, key = str(error), None
    if problem:
        level = logging.WARNING if problem == UNSET else logging.ERROR
        log.log(level, "members cannot delete their data: %s", problem)
    elif key is not None:
        database.use_pseudonyms(Pseudonyms(key))


async def note_key(tx: Transaction, pseudonyms: Pseudonyms) -> bool:
    """Store the fingerprint of the key by which data is about to be deleted.

    Return false if another process has deleted data by another key.
    """
    noted = await read_note(tx, NOTE)
    if noted is None:
        await write_note(tx, NOTE, pseudonyms.fingerprint)
    return noted in {None, pseudonyms.fingerprint}
