"""The notes of deletions, which lie beside the pictures, in a folder or a bucket.

Most notes are names without content (bot.pseudonyms). Notes of removed pictures list the hashes: a
backup removes its copies of them, and a start the files that an older backup brings back.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

ERASED = "erased"  # the folder of the notes
REMOVED = "pictures-"  # the beginning of the names of notes that list pictures
HASH = re.compile(r"[0-9a-f]{64}")


def removal_note(hashes: Iterable[str]) -> tuple[str, bytes]:
    """Return the name and the content of a note of removed pictures."""
    content = "\n".join(sorted(hashes)).encode()
    return f"{REMOVED}{hashlib.sha256(content).hexdigest()[:32]}", content


def removed_in(notes: Mapping[str, bytes]) -> set[str]:
    """Return the hashes of all removed pictures in some notes."""
    lists = (content.decode() for name, content in notes.items() if name.startswith(REMOVED))
    return {each for text in lists for each in HASH.findall(text)}


def note_in(folder: Path, notes: Mapping[str, bytes]) -> None:
    """Write notes, durably, into a folder of pictures. Blocking: call in a thread."""
    if not notes:
        return
    erased = folder / ERASED
    erased.mkdir(parents=True, exist_ok=True)
    for name, content in notes.items():
        with (erased / name).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    sync_folder(erased)
    sync_folder(folder)


def notes_in(folder: Path) -> dict[str, bytes]:
    """Return the notes in a folder of pictures. Blocking: call in a thread."""
    return {each.name: each.read_bytes() for each in (folder / ERASED).glob("*") if each.is_file()}


def remove_copies(folder: Path, hashes: Iterable[str]) -> None:
    """Remove the originals of these pictures from a backup. Blocking: call in a thread."""
    for each in hashes:
        for copy in folder.glob(f"{each[:2]}/{each}.*"):
            copy.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make a rename durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
