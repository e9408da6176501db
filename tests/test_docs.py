"""The documents cannot rot: they are held against the program."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import discord
import pytest
from discord import app_commands

from bot.backoff import utc_now
from bot.client import EaselClient
from bot.providers import PROVIDERS
from bot.session_starts import SessionStarts
from bot.settings import Settings, SettingsGroup
from bot.store.database import Database
from bot.studio import Studio
from cogs.ui.wording import Actions, More
from tests.support.services import services_on

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
INTERNALS = ROOT / "docs" / "internals"
OPERATING = (ROOT / "docs" / "operating.md").read_text()
CI = (ROOT / ".ci" / "run").read_text()
GROUPS: list[type[SettingsGroup]] = [Settings, *(each.settings for each in PROVIDERS)]
DEFAULTS = {
    name: group.model_fields[field].default
    for group in GROUPS
    for name, field in group.names().items()
}


def table_names(heading: str) -> list[str]:
    """What the first cells of the tables under a heading name: `code` or *menus*."""
    section = README.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    cells = re.findall(r"^\| ([`*][^|]+) \|", section, flags=re.MULTILINE)
    found = [re.findall(r"`([^`]+)`|(\*[^*]+\*)", cell) for cell in cells]
    return [code or menu for cell in found for code, menu in cell]


def test_every_setting_is_in_the_readme_once() -> None:
    assert sorted(table_names("Settings")) == sorted(DEFAULTS)


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_default_that_is_told_is_the_default(name: str) -> None:
    default = DEFAULTS[name]
    row = next(line for line in README.splitlines() if line.startswith(f"| `{name}`"))

    assert not default or f"`{default}`" in row


@pytest.mark.parametrize(
    "command", ["pip install . && easel sandbox", "pip install '.[test]' && pytest"]
)
def test_the_readmes_two_commands_are_those_of_ci(command: str) -> None:
    assert f"\n{command}\n" in README
    for part in command.split(" && "):
        assert part.replace("pip install", "pip install --quiet") in CI


async def test_every_command_and_option_is_in_the_readme(
    database: Database, tmp_path: Path
) -> None:
    services = services_on(database, tmp_path, utc_now)
    settings = Settings.load(None)
    studio = Studio(services, wake=lambda: None)
    client = EaselClient(settings, services, studio, SessionStarts())
    await client.load_cogs()
    tree = client.tree
    commands = [each for each in tree.walk_commands() if isinstance(each, app_commands.Command)]
    menus = tree.get_commands(type=discord.AppCommandType.message)
    options = {
        parameter.display_name
        for command in commands
        if command.name in {"imagine", "edit"}
        for parameter in command.parameters
    }

    assert sorted(table_names("Commands")) == sorted(
        {f"/{command.qualified_name}" for command in commands}
        | {f"*{menu.name}*" for menu in menus}
        | {f"*{label}*" for label in (Actions.AGAIN, Actions.REMIX, Actions.EDIT, Actions.MORE)}
        | options
    )


def test_the_buttons_of_the_menu_are_in_the_readme() -> None:
    switches = (More.FAVOURITE, More.NO_FAVOURITE, More.SPOILER, More.NO_SPOILER)
    pages = (More.RECIPE, More.ORIGINALS, More.LINEAGE, More.PARENT, More.THREAD, More.EXPANDED)
    for label in (*switches, *pages, More.DELETE):
        assert f"*{label}*" in README


def test_the_changelog_has_the_version() -> None:
    """And above it the place for what comes next."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    headings = re.findall(r"(?m)^## (.+)$", (ROOT / "CHANGELOG.md").read_text())

    assert headings[0] == "[Unreleased]"
    assert re.fullmatch(rf"\[{re.escape(project['version'])}\] - \d{{4}}-\d\d-\d\d", headings[1])


def test_the_example_names_only_settings() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    names = {line.partition("=")[0] for line in lines if line and line[0] != "#"}

    assert names <= set(DEFAULTS)


def told_lines() -> Iterator[str]:
    """What is logged above INFO, as the operator's document writes it: … for what is filled in,
    and without the job, which is the same for all."""
    for path in sorted([*(ROOT / "bot").rglob("*.py"), *(ROOT / "cogs").rglob("*.py")]):
        if ROOT / "bot" / "sandbox" in path.parents:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(
                    func=ast.Attribute(
                        value=ast.Name("log"),
                        attr="warning" | "error" | "exception" | "critical" | "log" as level,
                    )
                ):
                    text = node.args[1 if level == "log" else 0]
                    assert isinstance(text, ast.Constant), f"{path}:{node.lineno}: no fixed text"
                    yield re.sub("%[a-z]", "…", str(text.value).removeprefix("job %s: "))


def test_the_operators_document_tells_what_a_line_of_the_log_means() -> None:
    (log,) = re.findall(r"(?s)\n## The log\n(.*?)\n## ", OPERATING)
    told = set(re.findall(r"(?m)^\| (?:error|warning) \| `(.*?)` \|", log))

    assert set(told_lines()) - told == set()


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "docs/operating.md"])
def test_links_lead_somewhere(name: str) -> None:
    """Those to files of ours, and to headings."""
    page = ROOT / name
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text()):
        file, _, heading = target.partition("#")
        text = (page.parent / file if file else page).read_bytes().decode(errors="replace")
        headings = re.findall(r"(?m)^#+ (.+)$", text)
        assert not heading or heading in {each.lower().replace(" ", "-") for each in headings}


def test_the_contributors_guide_names_what_there_is() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    paths = re.findall(r"(?:bot|cogs|tests|docs)/[\w/.]*\w/?|\.ci/\w+", guide)
    names = re.findall(r"`(test_\w+)`", guide)

    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert [name for name in names if f"def {name}(" not in tests] == []


def citations() -> Iterator[tuple[str, str, str]]:
    """Yield file, document and cited heading of every comment on a page of docs/internals."""
    for folder in ("bot", "cogs", "tests"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            text = re.sub(r"\s*\n\s*(# )?", " ", path.read_text())
            for page, cited in re.findall(r"\b(apis|discord|design)\.md, ([^)\"]+)", text):
                # A sentence may follow, and the name of a heading may hold a dot ("Oxen.ai").
                first = re.split(r"\. |\.$", cited)[0]
                for heading in first.split("; "):
                    yield path.name, page, heading


def test_comments_cite_headings_that_exist() -> None:
    headings = {
        page: re.findall(r"^#+ (.+)$", (INTERNALS / f"{page}.md").read_text(), flags=re.MULTILINE)
        for page in ("apis", "discord", "design")
    }
    found = list(citations())

    assert len(found) > 20
    assert [
        (file, page, cited)
        for file, page, cited in found
        if not any(cited.startswith(each) or each.startswith(cited) for each in headings[page])
    ] == []
