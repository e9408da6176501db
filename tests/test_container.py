"""The image and its compose file, read as text: `.ci/dockerfile` runs the image's own steps."""

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from bot.app import DRAIN_SECONDS
from bot.discord_clients import CLOSE_SECONDS

ROOT = Path(__file__).parent.parent
COMPOSE = (ROOT / "compose.yaml").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def instructions(stage: int) -> list[tuple[str, str]]:
    """(name, the rest) of one stage's lines, FROM first; those that go on are joined."""
    text = re.sub(r"(?m)^#.*\n", "", (ROOT / "Dockerfile").read_text()).replace("\\\n", "")
    stages = re.split(r"(?m)^(?=FROM )", text)[1:]
    lines = [line.strip() for line in stages[stage].splitlines() if line.strip()]
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines)]


def one(name: str) -> str:
    """The rest of the final stage's only instruction of that name."""
    (found,) = [rest for each, rest in instructions(-1) if each == name]
    return found


def environment() -> dict[str, str]:
    pairs = [pair for name, rest in instructions(-1) if name == "ENV" for pair in shlex.split(rest)]
    return dict(pair.split("=", 1) for pair in pairs)


def let_through() -> set[str]:
    """What .dockerignore lets into the build: everything is shut out but the names with a `!`."""
    first, *rest = (ROOT / ".dockerignore").read_text().splitlines()
    assert first == "*"
    return {line.removeprefix("!") for line in rest if line.startswith("!")}


def copied() -> list[str]:
    return [
        source for name, rest in instructions(0) if name == "COPY" for source in rest.split()[:-1]
    ]


def test_the_user_is_a_number_and_not_root() -> None:
    """So that an orchestrator can tell it, without the image's list of users."""
    user, group = one("USER").split(":")

    assert int(user) > 0
    assert int(group) > 0


def test_the_folder_of_the_data_belongs_to_that_user() -> None:
    made = " ".join(rest for name, rest in instructions(-1) if name == "RUN")
    user, group = one("USER").split(":")

    assert f"--uid {user} " in made
    assert f"--gid {group} " in made
    assert re.search(rf"install -d -o easel -g easel -m 0700 {one('VOLUME')}\b", made)


def test_the_default_database_is_in_the_volume() -> None:
    assert f"{one('WORKDIR')}/data" == one("VOLUME")


def test_signals_reach_the_program() -> None:
    """In the exec form: a shell in between would keep SIGTERM for itself."""
    command = json.loads(one("CMD"))

    assert command == ["easel", "run"]
    assert command[0] in PROJECT["project"]["scripts"]
    assert one("STOPSIGNAL") == "SIGTERM"


def test_the_health_check_asks_the_port_that_is_set() -> None:
    options, _, command = one("HEALTHCHECK").partition("CMD ")
    python, flag, program = json.loads(command)
    compile(program, "HEALTHCHECK", "exec")

    assert (python, flag) == ("python", "-c")
    assert "--timeout=" in options
    assert "os.environ['HTTP_PORT']" in program
    assert "/healthz" in program
    assert environment()["HTTP_PORT"].isdigit()
    assert environment()["HTTP_HOST"] == "127.0.0.1"


def test_nothing_is_compiled_at_run_time() -> None:
    built = " ".join(rest for name, rest in instructions(0) if name == "RUN")

    assert environment()["PYTHONDONTWRITEBYTECODE"] == "1"
    assert "compileall" in built


def test_the_dependencies_are_those_of_the_lock() -> None:
    installs = [
        part.strip()
        for name, rest in instructions(0)
        if name == "RUN"
        for part in rest.split("&&")
        if "pip install" in part
    ]

    assert len(installs) == 2
    assert "--require-hashes -r requirements.lock" in installs[0]
    assert "--no-deps --no-build-isolation ." in installs[1]


def test_the_images_are_named_by_digest() -> None:
    images = [rest.split()[0] for stage in (0, 1) for _, rest in instructions(stage)[:1]]
    assert re.fullmatch(r"python:3\.\d+-slim@sha256:[0-9a-f]{64}", images[0])
    assert set(images) == {images[0]}


def test_the_image_holds_nothing_that_only_the_build_needs() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    asker = r"(?:hatchling|easel \(pyproject.toml:build\))"
    entry = rf"(?m)^([a-z-]+)==.*\n(?:    --hash.*\n)+    # via {asker}$"
    built = " ".join(rest for name, rest in instructions(0) if name == "RUN")

    assert f"pip uninstall --yes {' '.join(re.findall(entry, lock))} &&" in built


@pytest.mark.parametrize("source", copied())
def test_what_is_copied_is_there_and_let_through(source: str) -> None:
    assert (ROOT / source).exists()
    assert source in let_through()


def test_nothing_else_is_let_through() -> None:
    """Above all no .env: what is in the build's context can end in a layer."""
    assert let_through() == set(copied())


def test_all_that_the_package_names_is_copied() -> None:
    project = PROJECT["project"]
    packages = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]

    assert {*packages, project["readme"], *project["license-files"]} <= set(copied())


def test_no_label_holds_an_address() -> None:
    assert "org.opencontainers.image.title" in one("LABEL")
    assert "://" not in one("LABEL")


def test_compose_keeps_the_images_volume() -> None:
    (volume,) = re.findall(r"(?m)^      - ([\w-]+):(/\S+)$", COMPOSE)

    assert volume == ("easel-data", one("VOLUME"))
    assert re.search(rf"(?m)^volumes:\n  {volume[0]}:$", COMPOSE)


@pytest.mark.parametrize(
    "line",
    [
        "build: .",
        "env_file: .env",
        "restart: unless-stopped",
        "read_only: true",
        "tmpfs:\n      - /tmp",
        "cap_drop:\n      - ALL",
        "security_opt:\n      - no-new-privileges:true",
    ],
)
def test_compose_gives_the_container_no_more_than_it_needs(line: str) -> None:
    assert f"\n    {line}\n" in COMPOSE


def test_compose_waits_longer_than_easel_drains() -> None:
    (seconds,) = re.findall(r"stop_grace_period: (\d+)s", COMPOSE)

    assert int(seconds) > max(10.0, DRAIN_SECONDS + CLOSE_SECONDS)
