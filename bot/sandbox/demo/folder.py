"""The output folder of a demonstration."""

import shutil
from pathlib import Path
from typing import Final

MARK: Final = ".easel-sandbox"
MARK_TEXT: Final = "Created by `easel sandbox`, which deletes the output at each run.\n"
RESULTS: Final = ("pictures", "data", "index.html", "easel.log")


class FolderRefused(Exception):
    """The folder belongs to somebody else; the message names the remedy."""


def prepare(folder: Path) -> None:
    """Create the folder, or delete the output of an earlier run and nothing else.

    Raise FolderRefused if the folder has other content, or settings (`.env`) that the bot would
    read.
    """
    if folder.exists() and not folder.is_dir():
        raise FolderRefused(f"{folder} is a file. Choose a folder with --folder.")
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / MARK
    if not mark.is_file() and any(folder.iterdir()):
        raise FolderRefused(f"{folder} is not empty. Choose a new folder with --folder.")
    if (folder / ".env").exists():
        raise FolderRefused(
            f"{folder} contains a .env, which the bot would read. Move that file first."
        )
    mark.write_text(MARK_TEXT)
    for name in RESULTS:
        _remove(folder / name)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
