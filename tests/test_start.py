"""Each command imports what it uses: the memory of the bot, and the time until a command answers.

`python -m tests.benchmarks.start` measures both.
"""

import asyncio
import sys

import pytest

# Libraries, and parts of Easel, that are slow to import or take much memory.
MATPLOTLIB = {"matplotlib", "numpy"}
MIGRATIONS = {"alembic", "mako"}
SELDOM = MATPLOTLIB | MIGRATIONS | {"asyncpg", "obstore", "PIL", "aiohttp.test_utils"}
SANDBOX = {"bot.sandbox"}
AUDIT = {"bot.store.audit"}
BOT = {"discord", "babel", "prometheus_client", "cogs", "bot.app", "bot.studio", "bot.worker"}
REQUESTS = {"aiohttp", "bot.providers"}
ROWS = {"sqlalchemy", "bot.store.tables"}

SERVING = "import bot.__main__, bot.config, bot.check.spelling, bot.observability.logs, bot.app"
CHECK = "import bot.__main__, bot.observability.logs, bot.check.run"
SETTINGS = "from bot.settings import Settings"


@pytest.mark.long
@pytest.mark.parametrize(
    ("program", "unused"),
    [
        pytest.param(
            "import bot.__main__",
            SELDOM | SANDBOX | AUDIT | BOT | REQUESTS | ROWS | {"rich", "structlog"},
            id="help",
        ),
        pytest.param(SERVING, SELDOM | SANDBOX | AUDIT | {"bot.check.run"}, id="run"),
        pytest.param(CHECK, SELDOM | SANDBOX | BOT | AUDIT | ROWS, id="check of the settings"),
        pytest.param(
            f"{CHECK}, bot.check.commands",
            SELDOM | SANDBOX | {"bot.app", "bot.worker"},
            id="check of the commands",
        ),
        pytest.param(
            f"import bot.__main__, bot.pictures, bot.store.database_file; {SETTINGS}",
            SELDOM | SANDBOX | AUDIT | BOT,
            id="backup",
        ),
        pytest.param(
            "import bot.__main__, bot.config, bot.store.audit, bot.store.backends",
            SELDOM | SANDBOX | BOT,
            id="ledger",
        ),
        pytest.param(
            "import bot.__main__, bot.sandbox.demo.run",
            (SELDOM | AUDIT | BOT | ROWS | {"bot.providers"}) - {"PIL"},
            id="sandbox",
        ),
    ],
)
async def test_a_command_does_without_what_others_use(program: str, unused: set[str]) -> None:
    needless = unused & await modules_after(program)

    assert not needless


async def modules_after(program: str) -> set[str]:
    """Return the modules that a Python of its own has imported at the end of a program."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", f"{program}; import sys; print(*sys.modules)"),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return set(out.decode().split())
