"""Names in .env and in the environment that look like a setting written wrongly."""

import logging
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from dotenv import dotenv_values

from bot.errors import StartupError
from bot.settings import Settings

log = logging.getLogger(__name__)

ENV_FILE = Path(".env")
PREFIXES = ("DISCORD_", "OXEN_", "SKILLS_", "EASEL_")
NAMES = tuple(name.upper() for name in Settings.model_fields)
NO_SETTINGS = frozenset({"EASEL_DISCORD_OPENAPI"})  # of the tests
# How alike two names must be. Foreign names are many in an environment, and few in our .env.
IN_FILE = 0.7
IN_ENVIRONMENT = 0.75
WITHOUT_PREFIX = 0.9


@dataclass(frozen=True, slots=True)
class Misspelt:
    name: str
    place: str  # ".env" or "the environment"
    meant: str | None

    @property
    def finding(self) -> str:
        return f"{self.name} in {self.place} is no setting of Easel's, and is ignored"

    @property
    def remedy(self) -> str:
        if self.meant is None:
            return "The README tells every setting."
        return f"Did you mean {self.meant}?"


def in_file(path: Path = ENV_FILE) -> Mapping[str, str]:
    """What .env sets to something; nothing where it cannot be read."""
    try:
        found = dotenv_values(path, encoding="utf-8")
    except (OSError, ValueError):
        return {}
    return {name.upper(): value for name, value in found.items() if value}


def in_environment() -> Mapping[str, str]:
    return {name.upper(): value for name, value in os.environ.items() if value}


def misspelt(file: Mapping[str, str], environment: Mapping[str, str]) -> Iterator[Misspelt]:
    """Doubtful names, those of .env first."""
    given = file.keys() | environment.keys()
    for name in _unknown(file):
        meant = _meant(name, given, IN_FILE, WITHOUT_PREFIX)
        if meant is not None or name.startswith(PREFIXES):
            yield Misspelt(name, str(ENV_FILE), meant)
    for name in _unknown(environment):
        meant = _meant(name, given, IN_ENVIRONMENT, WITHOUT_PREFIX)
        if meant is not None:
            yield Misspelt(name, "the environment", meant)


def refuse_misspelt() -> None:
    """StartupError for a name that stands for a setting which is so not set; else a warning."""
    for each in misspelt(in_file(), in_environment()):
        if each.meant is not None:
            raise StartupError(f"{each.name} in {each.place} is no setting. {each.remedy}")
        log.warning("%s. %s", each.finding, each.remedy)


def _unknown(names: Collection[str]) -> list[str]:
    return sorted(name for name in names if name not in NAMES and name not in NO_SETTINGS)


def _meant(name: str, given: Collection[str], alike: float, bare: float) -> str | None:
    """The setting that it may stand for, if that is not set as well."""
    ours = name.startswith(PREFIXES)
    meant = get_close_matches(name.removeprefix("EASEL_"), NAMES, 1, alike if ours else bare)
    return meant[0] if meant and meant[0] not in given else None
