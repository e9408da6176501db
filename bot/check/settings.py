"""Each setting, where it came from, and what is wrong with it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr, ValidationError

from bot.check.report import Line, State, warning, wrong
from bot.check.spelling import ENV_FILE, in_environment, in_file, misspelt
from bot.errors import StartupError
from bot.settings import Settings

ABOUT = "settings"
DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Read:
    """`settings` has the default in place of every value that is wrong."""

    settings: Settings
    lines: tuple[Line, ...]


def read_settings(env_file: Path = ENV_FILE) -> Read:
    settings, problems = _tolerant(env_file)
    file, environment = in_file(env_file), in_environment()
    lines = [
        *_values(settings, problems, file, environment),
        *(wrong(name, problem, f"Correct {name}.") for name, problem in problems.items()),
        *_startup(settings),
        *(warning(each.name, each.finding, each.remedy) for each in misspelt(file, environment)),
    ]
    if not settings.servers:
        lines.append(
            warning(
                "SERVERS",
                "not set: whoever adds the bot to a server spends your credits",
                "Put the ids of your servers in SERVERS.",
            )
        )
    return Read(settings, tuple(lines))


def _tolerant(env_file: Path) -> tuple[Settings, dict[str, str]]:
    """All settings that are right, and what is wrong with the others, by name."""
    try:
        return Settings(_env_file=env_file), {}  # type: ignore[call-arg]  # pydantic-settings' own
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        problems = {str(each["loc"][0]).upper(): str(each["msg"]) for each in found}
    except UnicodeDecodeError:
        problem = {str(env_file): "cannot be read: it is not in UTF-8"}
        return Settings(_env_file=None), problem  # type: ignore[call-arg]
    defaults = {name.lower(): Settings.model_fields[name.lower()].default for name in problems}
    return Settings(**{"_env_file": env_file, **defaults}), problems


def _values(
    settings: Settings,
    problems: Mapping[str, str],
    file: Mapping[str, str],
    environment: Mapping[str, str],
) -> Iterator[Line]:
    """A line for each, of which a screen shows those that are set; the rest are one line there."""
    rest: list[str] = []
    for field in Settings.model_fields:
        name = field.upper()
        if name in problems:
            continue
        source = "environment" if name in environment else ".env" if name in file else DEFAULT
        value = _shown(getattr(settings, field))
        line = Line(State.OK, name, f"{value} ({source})", quiet=source == DEFAULT)
        if line.quiet:
            rest.append(name)
        yield line
    yield Line(State.OK, ABOUT, f"{len(rest)} others have their defaults")


def _shown(value: object) -> str:
    match value:
        case None | frozenset() if not value:
            return "not set"
        case SecretStr():
            return "set"
        case frozenset():
            return ", ".join(str(each) for each in sorted(value))
        case _:
            return str(value)


def _startup(settings: Settings) -> Iterator[Line]:
    """What would keep Easel from starting."""
    checks: tuple[Callable[[], object], ...] = (lambda: settings.token, settings.check_keys)
    for check in checks:
        try:
            check()
        except StartupError as error:
            problem, _, remedy = str(error).partition(". ")
            yield wrong(_name_in(problem), problem, remedy)


def _name_in(problem: str) -> str:
    first = problem.split(" ")[0].rstrip(":")
    return first if first.lower() in Settings.model_fields else ABOUT
