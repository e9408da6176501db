"""A provider is added by a folder and a line of the registry: nothing else names one."""

import ast
import json
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.check.run import run_check
from bot.check.spelling import misspelt, refuse_misspelt
from bot.check.trial import trial_question
from bot.config import Config
from bot.errors import StartupError
from bot.observability.logs import LEAST, start_logging
from bot.providers import PROVIDERS
from tests.support.easel import Stage
from tests.support.painter import PAINTER
from tests.support.painter.provider import PainterSettings
from tests.support.painter.server import FakePainter, fake_painter

ROOT = Path(__file__).parent.parent
KEY = "painter-key-of-the-tests"
ENTRIES = (*PROVIDERS, PAINTER)


@pytest.fixture
async def painter() -> AsyncIterator[FakePainter]:
    async with fake_painter(KEY) as opened:
        yield opened


@pytest.fixture
def studio(at: Stage, painter: FakePainter) -> Stage:
    """The stage with a third provider."""
    at.settings = {"painter_api_key": KEY, "painter_api_url": painter.url}
    at.entries = ENTRIES
    return at


@pytest.fixture
def environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, painter: FakePainter
) -> pytest.MonkeyPatch:
    """An empty folder, and no other provider's key."""
    monkeypatch.chdir(tmp_path)
    for entry in PROVIDERS:
        for name in entry.settings.names():
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PAINTER_API_KEY", KEY)
    monkeypatch.setenv("PAINTER_API_URL", painter.url)
    monkeypatch.setenv("DISCORD_API_URL", "http://127.0.0.1:9")
    return monkeypatch


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, hook = root.handlers[:], root.level, sys.excepthook
    levels = {name: logging.getLogger(name).level for name in LEAST}
    yield
    root.handlers[:], sys.excepthook = handlers, hook
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


@pytest.mark.long
async def test_each_of_its_models_makes_pictures_from_end_to_end(
    studio: Stage, painter: FakePainter
) -> None:
    async with studio.easel():
        await studio.imagine("a fox", model="mural", image_size="ceiling")
        await studio.result("a fox")
        await studio.imagine("an owl", model="sketch", aspect_ratio="5:1", seed=7)
        await studio.result("an owl")
        owl, fox = await studio.settled(2)

    assert painter.bodies == [
        {"model": "fresco-2", "prompt": "a fox", "image_size": "ceiling"},
        {"model": "pencil-1", "prompt": "an owl", "aspect_ratio": "5:1", "seed": 7},
    ]
    assert [(job.provider, job.request.model, job.cost) for job in (fox, owl)] == [
        ("painter", "mural", 11_000),
        ("painter", "sketch", 3_000),
    ]
    assert await studio.balance() == -14_000


async def test_its_models_and_their_values_complete_themselves(studio: Stage) -> None:
    async def offered(option: str, **others: object) -> list[str]:
        options = {"prompt": "a fox", option: "", **others}
        found = await studio.discord.complete(
            studio.ada, studio.channel, "imagine", options, option
        )
        return [choice["value"] for choice in found]

    async with studio.easel():
        assert await offered("model") == ["oxen", "skills", "sketch", "mural"]
        assert await offered("aspect_ratio", model="sketch") == ["1:1", "5:1"]
        assert await offered("image_size", model="mural") == ["wall", "ceiling"]
        assert "5:1" in await offered("aspect_ratio")


async def test_its_model_may_be_the_default(studio: Stage, painter: FakePainter) -> None:
    async with studio.easel(default_model="mural"):
        await studio.imagine("a fox")
        (job,) = await studio.settled()

    assert (job.provider, job.request.model) == ("painter", "mural")


async def test_a_job_of_a_removed_provider_is_still_shown(
    studio: Stage,
) -> None:
    async with studio.easel():
        await studio.imagine("a fox", model="mural")
        await studio.settled()

    studio.entries = PROVIDERS
    async with studio.easel():
        history = await studio.history()

    assert "a fox" in history.text()


@pytest.mark.usefixtures("environment", "logging_as_before")
def test_its_key_is_redacted_in_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging("INFO", "json", Config.load(None, entries=ENTRIES).secrets)

    logging.getLogger("library").error("sent %s", {"Authorization": f"Bearer {KEY}"})

    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["event"] == "sent {'Authorization': 'Bearer [secret]'}"


async def checked(capsys: pytest.CaptureFixture[str], *, trial: bool = False) -> Any:  # noqa: ANN401
    """The lines of `easel check` about the painter and its settings."""
    await run_check(json=True, trial=trial, entries=ENTRIES)
    lines = json.loads(capsys.readouterr().out)["lines"]
    return [line for line in lines if "painter" in f"{line['about']}{line['remedy']}".lower()]


async def test_the_check_uses_its_key(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = await checked(capsys)

    assert {line["about"]: line["finding"] for line in lines} == {
        "PAINTER_API_KEY": "set (environment)",
        "PAINTER_API_URL": lines[1]["finding"],
        "PAINTER_BUDGET_MONTHLY": "not set (default)",
        "PAINTER_PRICE": "3 (default)",
        "PAINTER_MURAL_PRICE": "11 (default)",
        "painter": "the key is valid",
    }


async def test_a_refused_key_is_reported_with_its_page(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("PAINTER_API_KEY", "expired")

    (wrong,) = [line for line in await checked(capsys) if line["state"] == "wrong"]

    assert wrong["about"] == "PAINTER_API_KEY"
    assert wrong["remedy"] == "Create a new key at https://painter.example/keys."


def test_without_any_key_its_name_and_page_are_given(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.delenv("PAINTER_API_KEY")

    with pytest.raises(StartupError, match="PAINTER_API_KEY") as caught:
        Config.load(None, entries=ENTRIES).check_providers()

    assert "https://painter.example/keys" in str(caught.value)


async def test_the_trial_names_its_price_and_makes_a_picture(
    environment: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    painter: FakePainter,
) -> None:
    question = trial_question(Config.load(None, entries=ENTRIES))

    (line,) = [each for each in await checked(capsys, trial=True) if "try" in each["about"]]

    assert "3 credits at painter" in question
    assert line["state"] == "ok"
    assert ", 3 credits: easel-check-painter-" in line["finding"]
    assert [body["model"] for body in painter.bodies] == ["pencil-1"]


def test_its_settings_have_its_prefix(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PAINTER_MURAL_PRICE", "99")

    assert PainterSettings.load(None).mural_price == 99
    environment.setenv("PAINTER_PRICE", "cheap")
    with pytest.raises(StartupError, match=r"^PAINTER_PRICE: "):
        Config.load(None, entries=ENTRIES)


def test_the_spelling_check_knows_its_names(environment: pytest.MonkeyPatch) -> None:
    (typed, strange) = misspelt(
        {"PAINTER_APIKEY": "x", "PAINTER_BRUSHES_AND_CO": "mild"}, {}, ENTRIES
    )

    assert (typed.meant, strange.meant) == ("PAINTER_API_KEY", None)
    assert list(misspelt({}, {"PAINTER_API_KEY": "x"}, ENTRIES)) == []
    environment.delenv("PAINTER_API_KEY")
    Path(".env").write_text("PAINTER_APIKEY=x\n")
    with pytest.raises(StartupError, match=r"Did you mean PAINTER_API_KEY\?"):
        refuse_misspelt(ENTRIES)


def product() -> list[Path]:
    found = [*(ROOT / "bot").rglob("*.py"), *(ROOT / "cogs").rglob("*.py")]
    own = [ROOT / "bot" / "sandbox", *(ROOT / "bot" / "providers" / each.key for each in PROVIDERS)]
    return [path for path in found if not any(folder in path.parents for folder in own)]


def names_in(path: Path) -> Iterator[str]:
    """Every name and text of a module but its docstrings."""
    tree = ast.parse(path.read_text())
    described = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docs = {
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, described) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if node not in docs:
                yield text
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.ImportFrom(module=str(name)):
                yield name
            case ast.arg(arg=name) | ast.keyword(arg=str(name)) | ast.alias(name=name):
                yield name
            case _:
                pass


@pytest.mark.parametrize("entry", PROVIDERS, ids=lambda entry: entry.key)
def test_nothing_outside_its_folder_and_the_registry_names_a_provider(entry: Any) -> None:  # noqa: ANN401
    registry = ROOT / "bot" / "providers" / "__init__.py"
    users = {
        path.relative_to(ROOT).as_posix()
        for path in product()
        if path != registry and any(entry.key in name.lower() for name in names_in(path))
    }

    assert users == set()
