"""Imports follow the layers of docs/internals/design.md (Map and layers)."""

import ast
from collections.abc import Iterator
from functools import cache, lru_cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TypeGuard

import pytest

ROOT = Path(__file__).parent.parent

# From the top down. A unit imports units of its own layer and of those below, never in a circle.
LAYERS = (
    {"bot.__main__"},
    {
        *("bot.app", "bot.check", "bot.client", "bot.discord_clients"),
        *("bot.discord_origin_workaround", "bot.rest_session"),
        *("bot.data_commands", "bot.erase_command", "bot.ledger_commands", "bot.opening"),
        *("bot.discord_session", "bot.registration"),
    },
    {"bot.observability.endpoint", "cogs"},
    {"bot.config", "bot.pseudonym_key", "bot.services", "bot.studio", "bot.worker"},
    {"bot.delivery", "bot.observability", "bot.pictures", "bot.providers", "bot.store"},
    {
        *("bot.backoff", "bot.catalog", "bot.errors", "bot.health", "bot.invite", "bot.jobs"),
        *("bot.http_client", "bot.http_headers", "bot.ledger", "bot.quotas", "bot.settings"),
        "bot.database_address",
        "bot.picture_folder",
        "bot.identify_permits",
        *(
            "bot.clock",
            "bot.precedence",
            "bot.proxies",
            "bot.pseudonyms",
            "bot.rest_pace",
            "bot.second_copy",
            "bot.session_starts",
        ),
        *("bot.option_values", "bot.periods", "bot.rights"),
        "bot.service_balances",
        "bot.charts",
        *("bot.csv_cells", "bot.data_export"),
        "bot.shards",
    },
)

LIBRARIES = {
    "discord": (
        "bot/client.py",
        "bot/discord_clients.py",
        "bot/discord_origin_workaround.py",
        "bot/discord_session.py",
        "bot/rest_session.py",
        "bot/registration/",
        "cogs/",
    ),
    "sqlalchemy": ("bot/store/",),
    "alembic": ("bot/store/migrations/",),
    "aiosqlite": ("bot/store/",),
    "asyncpg": ("bot/store/postgres.py", "bot/store/postgres_coordination.py"),
    "aiohttp": (
        "bot/http_client.py",
        "bot/providers/",
        "bot/pictures",
        "bot/sandbox/",
        "bot/check/",
        "bot/opening.py",
        "bot/discord_clients.py",  # the types of two arguments
        "bot/proxies.py",  # the header of a proxy's password
        "bot/observability/endpoint.py",
        "bot/observability/metrics.py",
        "cogs/delivery/rate_limits.py",  # the trace of the responses
        "cogs/_replies.py",  # only to name the error that discord.py lets through
    ),
    "babel": ("cogs/ui/numbers.py",),
    "matplotlib": ("bot/charts.py",),
    "prometheus_client": ("bot/observability/metrics.py",),
    "PIL": ("bot/pictures", "bot/sandbox/"),
    "pydantic_settings": ("bot/settings.py",),
    "rich": ("bot/check/",),
    "dotenv": ("bot/check/", "bot/pictures/bucket_access.py"),
    "obstore": ("bot/pictures/bucket_access.py", "bot/pictures/objects.py"),
    "typer": ("bot/__main__.py", "bot/data_commands.py", "bot/ledger_commands.py"),
    "structlog": ("bot/observability/logs.py",),
    "stamina": ("bot/providers/api_client.py", "bot/pictures", "bot/observability/logs.py"),
    "uvloop": ("bot/__main__.py",),
}
SANDBOX_MAY = {"aiohttp", "yarl", "PIL", "bot"}


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def sources() -> list[Path]:
    return [path for folder in ("bot", "cogs") for path in sorted((ROOT / folder).rglob("*.py"))]


@lru_cache(1)  # all trees would be 100 MB
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def imports(path: Path) -> frozenset[str]:
    """Full names of modules, also where `from package import module` names them."""
    found: set[str] = set()
    for node in ast.walk(tree_of(path)):
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


UNITS = frozenset(name for layer in LAYERS for name in layer)


def unit_of(module: str) -> str | None:
    """The entry of LAYERS that a module belongs to."""
    parts = module.split(".")
    return next(
        (name for n in range(len(parts), 0, -1) if (name := ".".join(parts[:n])) in UNITS), None
    )


def depth(unit: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if unit in layer)


def test_every_module_has_its_layer() -> None:
    strays = {
        module
        for path in sources()
        if unit_of(module := module_of(path)) is None
        and module != "bot"
        and not module.startswith("bot.sandbox")
    }

    assert not strays


def test_imports_go_downwards_only() -> None:
    upwards = {
        (module_of(path), name)
        for path in sources()
        if (importer := unit_of(module_of(path))) is not None  # the sandbox has a rule of its own
        for name in imports(path)
        if (imported := unit_of(name)) is not None
        and imported != importer
        and depth(imported) < depth(importer)
    }

    assert not upwards


def test_no_two_units_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for path in sources():
        if (importer := unit_of(module_of(path))) is not None:
            found = {unit for name in imports(path) if (unit := unit_of(name)) is not None}
            graph.setdefault(importer, set()).update(found - {importer})

    assert list(TopologicalSorter(graph).static_order())  # CycleError names the circle


def private_imports(path: Path) -> Iterator[str]:
    """Names with a leading underscore that a module takes from another package."""
    package = path.parent.relative_to(ROOT).as_posix()
    for node in ast.walk(tree_of(path)):
        if not isinstance(node, ast.ImportFrom) or not node.module:
            continue
        for alias in node.names:
            parts = [*node.module.split("."), alias.name]
            private = next((n for n, part in enumerate(parts) if part.startswith("_")), None)
            if private is None or parts[0] == "__future__":
                continue
            owner = "/".join(parts[:private])
            if package != owner and not package.startswith(f"{owner}/"):
                yield ".".join(parts)


# Workarounds for faults of libraries, each in a file that is named for the workaround.
WORKAROUNDS = {"bot/store/aiosqlite_driver.py"}


def test_no_private_name_of_another_package_is_imported() -> None:
    found = {
        (module_of(path), name)
        for path in sources()
        if path.relative_to(ROOT).as_posix() not in WORKAROUNDS
        for name in private_imports(path)
    }

    assert not found


# The parts of libraries that the workarounds need; tests/test_workarounds.py pins them.
WORKAROUND_FILES = (
    "bot/discord_origin_workaround.py",
    "bot/store/aiosqlite_driver.py",
    "cogs/delivery/global_limit_workaround.py",
    "cogs/delivery/member_roles_workaround.py",
)


def foreign_parts(path: Path) -> set[str]:
    """Attributes with a leading underscore that a module does not define itself."""
    nodes = list(ast.walk(tree_of(path)))
    own = {node.attr for node in nodes if _is_of(node, {"self", "cls"})}
    own |= {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    own |= {"_asdict", "_replace", "_exit"}  # public, of named tuples and os
    return {
        ast.unparse(node)
        for node in nodes
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and node.attr not in own
    }


def _is_of(node: ast.AST, owners: set[str]) -> TypeGuard[ast.Attribute]:
    return (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in owners
    )


def test_no_private_part_of_another_object_is_used() -> None:
    foreign = {
        (module_of(path), part)
        for path in sources()
        if not path.relative_to(ROOT).as_posix().startswith(WORKAROUND_FILES)
        for part in foreign_parts(path)
    }

    assert not foreign


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


@pytest.mark.parametrize(
    "path",
    [path for path in sorted((ROOT / "cogs").glob("*.py")) if not path.name.startswith("_")],
    ids=module_of,
)
def test_a_public_module_of_cogs_defines_a_cog(path: Path) -> None:
    """Parts that several cogs share have a leading underscore; presses are no commands."""
    bases = [
        ast.unparse(base)
        for node in tree_of(path).body
        if isinstance(node, ast.ClassDef)
        for base in node.bases
    ]

    assert {"commands.Cog", "commands.GroupCog"} & {*bases} or path.name == "buttons.py"
