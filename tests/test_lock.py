"""requirements.lock, which the image installs, is what pyproject.toml asks for, and whole."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCK = (ROOT / "requirements.lock").read_text()
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
BACKEND = SETTINGS["build-system"]["requires"]
DEPENDENCIES = [Requirement(line) for line in (*SETTINGS["project"]["dependencies"], *BACKEND)]
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def entries() -> dict[str, tuple[Requirement, list[str]]]:
    """Each requirement of the lock with its hashes, by its name in the one normal form."""
    found: dict[str, tuple[Requirement, list[str]]] = {}
    logical = re.sub(r"(?m)^\s*#.*\n?", "", LOCK).replace("\\\n", " ")
    for line in filter(None, logical.splitlines()):
        text, *hashes = re.split(r"\s+(?=--)", line.strip())
        requirement = Requirement(text)
        found[canonicalize_name(requirement.name)] = (requirement, hashes)
    return found


@pytest.mark.parametrize("wanted", DEPENDENCIES, ids=lambda wanted: wanted.name)
def test_the_lock_has_what_the_project_asks_for(wanted: Requirement) -> None:
    locked, _ = entries()[canonicalize_name(wanted.name)]
    (pin,) = locked.specifier

    assert pin.operator == "=="
    assert wanted.specifier.contains(pin.version)


@pytest.mark.parametrize("name", entries())
def test_every_entry_is_one_version_with_hashes(name: str) -> None:
    requirement, hashes = entries()[name]

    assert [pin.operator for pin in requirement.specifier] == ["=="]
    assert requirement.url is None
    assert hashes
    assert all(HASH.fullmatch(each) for each in hashes)


def test_the_lock_names_no_address_and_no_index() -> None:
    """Where the packages come from is the matter of the machine that installs them."""
    options = [line for line in LOCK.splitlines() if line.startswith("-")]

    assert "://" not in LOCK
    assert not re.search(r"\bhttps?\b", LOCK)
    assert options == []


def test_the_contributors_guide_tells_how_the_lock_is_made() -> None:
    """uv writes the command it was run with into the file's head."""
    command = next(line for line in LOCK.splitlines() if "uv pip compile" in line)

    assert command.removeprefix("#").strip() in (ROOT / "CONTRIBUTING.md").read_text()


def test_the_group_of_the_lock_is_the_build_backend() -> None:
    assert SETTINGS["dependency-groups"]["build"] == BACKEND


def test_every_recipe_installs_the_lock_and_builds_with_it() -> None:
    """An isolated build would fetch its backend without a hash."""
    guide = (ROOT / "docs" / "operating.md").read_text()
    recipes = re.findall(
        r"pip install ([^`&\n]*[^`&\s])", f"{guide}\n{(ROOT / 'Dockerfile').read_text()}"
    )

    locked = [each for each in recipes if "requirements.lock" in each]
    built = [each for each in recipes if each.endswith(" .")]
    assert len(locked) == len(built) == 3
    assert all("--require-hashes" in each for each in locked)
    assert all("--no-deps --no-build-isolation" in each for each in built)
    # The packages of the extra are not in the lock.
    extra = [each for each in recipes if "[cluster]" in each or each.endswith("asyncpg obstore")]
    assert len(recipes) == 6 + len(extra)
