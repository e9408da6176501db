"""The settings: the value and source of each, and those that are wrong."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import SecretStr, ValidationError

from bot.check.report import Line, State, warning, wrong
from bot.check.spelling import in_environment, in_file, misspelt
from bot.config import Config, ProviderConfig
from bot.errors import StartupError
from bot.providers import PROVIDERS
from bot.providers.base import AnyEntry
from bot.settings import ENV_FILE, Settings, SettingsGroup, UnreadableFile

ABOUT = "settings"
G = TypeVar("G", bound=SettingsGroup)


@dataclass(frozen=True, slots=True)
class CheckedSettings:
    """`config` has the default of every setting whose value is wrong."""

    config: Config
    lines: tuple[Line, ...]


def check_settings(
    entries: Sequence[AnyEntry] = PROVIDERS, env_file: Path = ENV_FILE
) -> CheckedSettings:
    """Read every setting, and return those that are right with a line for each."""
    reader = _Reader(env_file)
    config = Config(
        reader.read(Settings),
        tuple(ProviderConfig(each, reader.read(each.settings)) for each in entries),
    )
    file, environment = in_file(env_file), in_environment()
    lines = [
        *_values(config, reader.problems, file, environment),
        *(wrong(name, problem, f"Correct {name}.") for name, problem in reader.problems.items()),
        *_startup(config),
        *(
            warning(each.name, each.finding, each.remedy)
            for each in misspelt(file, environment, entries)
        ),
    ]
    if not config.core.servers:
        lines.append(
            warning(
                "SERVERS",
                "not set: anybody who adds the bot to a server spends your credits",
                "Put the ids of your servers in SERVERS.",
            )
        )
    return CheckedSettings(config, tuple(lines))


@dataclass(slots=True)
class _Reader:
    """A reader that replaces wrong values by defaults; `problems` are by environment name."""

    env_file: Path
    problems: dict[str, str] = field(default_factory=dict)

    def read(self, group: type[G]) -> G:
        try:
            return group.read(self.env_file, {})
        except ValidationError as error:
            found = group.problems(error)
        except UnreadableFile as error:
            self.problems[str(self.env_file)] = error.problem
            return group.read(None, {})
        self.problems |= found
        names = group.names()
        defaults = {name: group.model_fields[names[name]].default for name in found}
        return group.read(self.env_file, defaults)


def _values(
    config: Config,
    problems: Mapping[str, str],
    file: Mapping[str, str],
    environment: Mapping[str, str],
) -> Iterator[Line]:
    """Yield a line for each setting. A screen shows those that are set, and counts the rest."""
    defaults = 0
    for group in config.groups:
        for name, attribute in group.names().items():
            if name in problems:
                continue
            is_default = name not in environment and name not in file
            source = "default" if is_default else "environment" if name in environment else ".env"
            value = _shown(getattr(group, attribute))
            yield Line(State.OK, name, f"{value} ({source})", quiet=is_default)
            defaults += is_default
    yield Line(State.OK, ABOUT, f"{defaults} others have their defaults")


def _shown(value: object) -> str:
    match value:
        case None | frozenset() if not value:
            return "not set"
        case SecretStr():
            return "set"
        case frozenset():
            return ", ".join(_shown(each) for each in sorted(value))
        case (host, port):
            return f"{host}:{port}"
        case _:
            # Of an address, neither the name and the password nor the query.
            shown = re.sub(r"^([a-z+]+:/{0,3}).*@", r"\1…@", str(value), flags=re.I | re.S)
            return re.sub(r"^([a-z+]+:/.*?)\?.*", r"\1?…", shown, flags=re.I | re.S)


def _startup(config: Config) -> Iterator[Line]:
    """Yield a line for everything that would prevent a start."""
    names = {name for group in config.groups for name in group.names()}
    for check in (lambda: config.core.token, config.check_providers):
        try:
            check()
        except StartupError as error:
            problem, _, remedy = str(error).partition(". ")
            first = problem.split(" ")[0].rstrip(":")
            yield wrong(first if first in names else ABOUT, problem, remedy)
