"""Pseudonyms: negative ids that stand for members whose data was deleted.

Amounts in the ledger stay, and so do the rights of a member. Nobody without the key can tell whose
they are; with the key, the same member is found again, so that a deletion renews no allowance.
"""

import hashlib
import hmac
import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from pydantic import SecretStr

from bot.errors import StartupError

BITS = 62  # any such number, also negative, is an integer of both databases
KEY_BYTES = 32  # of a key that Easel makes
SHORTEST_KEY = 32  # characters of a key that the operator sets
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DELETED = "deleted member"  # which the trigger of `changes` looks for
MENTIONED_ID = re.compile(r"<@!?(-?\d+)>")


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """The pseudonyms by one key."""

    key: SecretStr

    def of(self, user_id: int) -> int:
        """Return a member's pseudonym: minus BITS bits of an HMAC of the id. Never 0."""
        return -(int.from_bytes(self._digest(str(user_id))) >> (256 - BITS) or 1)

    @property
    def fingerprint(self) -> str:
        """A text by which a changed key is recognised; it says nothing about the key."""
        return self._digest("the key of Easel's pseudonyms").hex()[:16]

    def _digest(self, text: str) -> bytes:
        return hmac.digest(self.key.get_secret_value().encode(), text.encode(), hashlib.sha256)


@dataclass(frozen=True, slots=True)
class Journaled:
    """A deletion in the journal. Data of the member that is newer than `requested_at` stays.

    `fingerprint` is that of the key by which the pseudonym was made.
    """

    fingerprint: str
    pseudonym: int
    requested_at: datetime

    def __str__(self) -> str:
        milliseconds = (self.requested_at - EPOCH) // timedelta(milliseconds=1)
        return f"{self.fingerprint}-{-self.pseudonym:016x}-{milliseconds}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the deletion of an entry's name; None for any other file."""
        matched = re.fullmatch(r"([0-9a-f]{16})-([0-9a-f]{16})-(\d{1,15})", text)
        if matched is None:
            return None
        requested_at = EPOCH + timedelta(milliseconds=int(matched[3]))
        return cls(matched[1], -int(matched[2], 16), requested_at)


def is_pseudonym(user_id: int) -> bool:
    return user_id < 0


def deleted_member(pseudonym: int) -> str:
    """Return the words for a member whose data was deleted; the digits tell two of them apart."""
    return f"{DELETED} {-pseudonym % 10_000:04}"


def read_key(path: Path) -> SecretStr | None:
    """Return the key in a file; None if there is no file. StartupError if it cannot be a key.

    Blocking.
    """
    try:
        text = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise StartupError(f"The key of the pseudonyms, {path}, cannot be read: {error}.") from None
    if len(text) < SHORTEST_KEY:
        raise StartupError(f"{path} holds no key of pseudonyms. Restore the file from its copy.")
    return SecretStr(text)


def make_key(path: Path) -> SecretStr:
    """Write a new key into a file that only its owner can read. StartupError. Blocking."""
    key = secrets.token_hex(KEY_BYTES)
    unfinished = path.with_name(f"{path.name}.part")
    try:
        with suppress(FileNotFoundError):
            unfinished.unlink()
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(f"{key}\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        raise StartupError(
            f"The key of the pseudonyms, {path}, cannot be written: {error.strerror}."
        ) from None
    return SecretStr(key)


def without_mentions(text: str) -> str:
    """Return a text without the ids of members, for the ledger, where it can never be changed."""
    return MENTIONED_ID.sub("a member", text)
