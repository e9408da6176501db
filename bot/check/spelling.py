"""Names in `.env` and in the environment that look like a misspelt setting."""

import logging
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from dotenv import dotenv_values

from bot.errors import StartupError
from bot.providers import PROVIDERS
from bot.providers.base import AnyEntry
from bot.settings import ENV_FILE, Settings, SettingsGroup, UnreadableFile, check_file

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Misspelt:
    """A name that no setting has. `meant` is the setting that is most like the name, if any."""

    name: str
    source: str  # ".env" or "the environment"
    meant: str | None

    @property
    def finding(self) -> str:
        return f"{self.name} in {self.source} is not a setting of Easel's, and is ignored"

    @property
    def remedy(self) -> str:
        if self.meant is None:
            return "The README lists every setting."
        return f"Did you mean {self.meant}?"


def in_file(path: Path = ENV_FILE) -> Mapping[str, str]:
    """Return the settings of `.env` that are not empty; none if the file cannot be read."""
    try:
        check_file(path)
        found = dotenv_values(path, encoding="utf-8-sig")
    except (OSError, ValueError, UnreadableFile):
        return {}
    return {name.upper(): value for name, value in found.items() if value}


def in_environment() -> Mapping[str, str]:
    """Return the environment without empty values."""
    return {name.upper(): value for name, value in os.environ.items() if value}


def misspelt(
    file: Mapping[str, str],
    environment: Mapping[str, str],
    entries: Sequence[AnyEntry] = PROVIDERS,
) -> Iterator[Misspelt]:
    """Yield doubtful names, those of `.env` first."""
    names = _Names(entries, set_names=file.keys() | environment.keys())
    for name in names.unknown(file):
        # Nearly every name in .env is Easel's, while the environment has many others.
        meant = names.nearest(name, likeness=0.7)
        if meant is not None or name.startswith(names.prefixes):
            yield Misspelt(name, str(ENV_FILE), meant)
    for name in names.unknown(environment):
        meant = names.nearest(name, likeness=0.75)
        if meant is not None:
            yield Misspelt(name, "the environment", meant)


def refuse_misspelt(entries: Sequence[AnyEntry] = PROVIDERS) -> None:
    """Raise StartupError for a misspelt setting in `.env`; log a warning for other doubts.

    A name in the environment may belong to another program, so that no start is refused for one.
    """
    file = in_file()
    for each in misspelt(file, in_environment(), entries):
        if each.meant is not None and each.source == str(ENV_FILE):
            raise StartupError(f"{each.name} in {each.source} is not a setting. {each.remedy}")
        log.warning("%s. %s", each.finding, each.remedy)


class _Names:
    """The names of all settings, to compare others with."""

    def __init__(self, entries: Sequence[AnyEntry], set_names: Collection[str]) -> None:
        """`set_names` are those that are set, of settings or not."""
        groups: list[type[SettingsGroup]] = [Settings, *(each.settings for each in entries)]
        self._names = [name for group in groups for name in group.names()]
        self._set = set_names
        self.prefixes = ("DISCORD_", "EASEL_", *(each.settings.prefix() for each in entries))

    def unknown(self, names: Collection[str]) -> list[str]:
        of_tests = "EASEL_DISCORD_OPENAPI"
        return sorted(name for name in names if name not in self._names and name != of_tests)

    def nearest(self, name: str, *, likeness: float) -> str | None:
        """Return the setting that was probably meant, unless that one is set as well.

        `likeness`, from 0 to 1, is for names with a prefix of Easel's; others must be more alike.
        """
        likeness = likeness if name.startswith(self.prefixes) else 0.9
        found = get_close_matches(name.removeprefix("EASEL_"), self._names, 1, likeness)
        return found[0] if found and found[0] not in self._set else None
