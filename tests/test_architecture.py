"""Imports go downwards only (design.md, Map). Everything is looked at, also inside functions."""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# From the top down; a module may import what stands below its own line, and its own package.
LAYERS = (
    {"bot.__main__"},
    {"bot.app", "bot.check"},
    {"bot.observability.health_server"},
    {"bot.observability.health"},
    {"bot.client"},
    {"cogs"},
    {"bot.studio", "bot.worker", "bot.pictures.retention", "bot.services"},
    {"bot.quotas"},
    {"bot.delivery", "bot.store", "bot.providers", "bot.pictures"},
    {"bot.catalog", "bot.backoff", "bot.observability.tracing", "bot.invite"},
    {"bot.observability.metrics"},
    {"bot.observability.figures"},
    {"bot.ledger", "bot.outages"},
    {"bot.jobs"},
    {"bot.observability.logs", "bot.settings"},
    {"bot.observability.redact"},
    {"bot.errors"},
)

LIBRARIES = {
    "discord": ("bot/client.py", "bot/app.py", "cogs/"),
    "sqlalchemy": ("bot/store/",),
    "alembic": ("bot/store/migrations/",),
    "aiosqlite": ("bot/store/",),
    "aiohttp": (
        "bot/providers/",
        "bot/pictures",
        "bot/sandbox/",
        "bot/check/",
        "bot/services.py",
        "bot/app.py",
        "bot/observability/health_server.py",
        "bot/observability/tracing.py",
        "cogs/_replies.py",  # only to name the error that discord.py lets through
    ),
    "prometheus_client": ("bot/observability/metrics.py",),
    "PIL": ("bot/pictures", "bot/sandbox/"),
    "pydantic_settings": ("bot/settings.py",),
    "rich": ("bot/check/",),
    "dotenv": ("bot/check/",),
    "typer": ("bot/__main__.py",),
    "structlog": ("bot/observability/logs.py",),
    "stamina": ("bot/providers/api_client.py", "bot/pictures", "bot/observability/logs.py"),
    "uvloop": ("bot/__main__.py",),
}
SANDBOX_MAY = {"aiohttp", "PIL", "bot"}


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def sources() -> list[Path]:
    return [path for folder in ("bot", "cogs") for path in sorted((ROOT / folder).rglob("*.py"))]


@cache
def imports(path: Path) -> frozenset[str]:
    """Full names of modules, also where `from package import module` names them."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                inner = ROOT / Path(*name.split("."))
                if inner.with_suffix(".py").exists() or inner.is_dir():
                    found.add(name)
                    found.discard(node.module)
    return frozenset(found)


def unit_of(module: str) -> str | None:
    """The entry of LAYERS that a module belongs to."""
    names = {name for layer in LAYERS for name in layer}
    parts = module.split(".")
    return next(
        (name for n in range(len(parts), 0, -1) if (name := ".".join(parts[:n])) in names), None
    )


def depth(unit: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if unit in layer)


def test_every_module_has_its_place() -> None:
    strays = {
        module
        for path in sources()
        if unit_of(module := module_of(path)) is None
        and module not in {"bot", "bot.observability"}
        and not module.startswith("bot.sandbox")
    }

    assert not strays


@pytest.mark.parametrize("path", sources(), ids=module_of)
def test_imports_go_downwards_only(path: Path) -> None:
    importer = unit_of(module_of(path))
    if importer is None:  # the sandbox has its own rule below
        return
    upwards = {
        name
        for name in imports(path)
        if (imported := unit_of(name)) is not None
        and imported != importer
        and depth(imported) <= depth(importer)
    }

    assert not upwards


@pytest.mark.parametrize("library", LIBRARIES)
def test_only_the_named_places_import(library: str) -> None:
    users = {
        path.relative_to(ROOT).as_posix()
        for path in sources()
        if any(name.split(".")[0] == library for name in imports(path))
    }

    assert not {user for user in users if not user.startswith(LIBRARIES[library])}


def test_the_sandbox_knows_nothing_of_the_bot() -> None:
    """Its stand-ins agree with the APIs' documents, not with our reading of them."""
    import sys

    for path in (ROOT / "bot" / "sandbox").rglob("*.py"):
        for name in imports(path):
            top = name.split(".")[0]
            assert top in sys.stdlib_module_names or top in SANDBOX_MAY, (path.name, name)
            assert top != "bot" or name.startswith("bot.sandbox"), (path.name, name)


def test_only_the_command_line_starts_the_sandbox() -> None:
    users = {
        module
        for path in sources()
        if not (module := module_of(path)).startswith("bot.sandbox")
        and any(name.startswith("bot.sandbox") for name in imports(path))
    }

    assert users <= {"bot.__main__"}
