"""A PostgreSQL server for the tests: a throwaway cluster, or the one that a variable names.

`EASEL_TEST_POSTGRES_URL` names a database of a server whose user may create databases. Without it,
the first test that needs a server starts one with the binaries of this machine; all processes of
one run of pytest share that server, and the first process stops it at the end.
`EASEL_TEST_POSTGRES=required` turns a skip into a failure.
"""

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import pytest
from filelock import FileLock

from bot.store.tables import metadata

# For a test about the file, or about a transaction that is alone.
sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

FOLDER = "EASEL_TEST_CLUSTER"  # the folder of this run, for its other processes
NAMED = "EASEL_TEST_POSTGRES_URL"
REQUIRED = os.environ.get("EASEL_TEST_POSTGRES") == "required"
ABSENT = "PostgreSQL is not installed, and EASEL_TEST_POSTGRES_URL names no server"
STARTED, TEMPLATE = "url", "easel_template"
SETTINGS: Mapping[str, object] = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": 300,
    "shared_buffers": "32MB",
    "listen_addresses": "127.0.0.1",
}


@dataclass(frozen=True)
class Cluster:
    """A server that runs; `url` names a database for commands about databases."""

    url: str

    def named(self, name: str) -> str:
        """Return the address of another database of the server."""
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    async def execute(self, *statements: str, url: str = "") -> None:
        import asyncpg

        connection = await asyncpg.connect(url or self.url, timeout=10)
        try:
            for statement in statements:
                await connection.execute(statement, timeout=30)
        finally:
            await connection.close()

    async def copy(self, template: str = TEMPLATE) -> str:
        """Create a database without rows, and return the address."""
        name = f"easel_{uuid4().hex}"
        await self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.named(name)

    async def clear(self, url: str) -> None:
        """Remove all rows of a database: ten times as fast as a new database."""
        tables = ", ".join(metadata.tables)
        await self.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "  # with its locks
            "WHERE datname = current_database() AND pid <> pg_backend_pid()",
            "BEGIN; ALTER TABLE ledger DISABLE TRIGGER USER; "
            f"TRUNCATE {tables} RESTART IDENTITY; "
            "ALTER TABLE ledger ENABLE TRIGGER USER; COMMIT",
            url=url,
        )

    async def drop(self, url: str) -> None:
        await self.execute(f"DROP DATABASE IF EXISTS {urlsplit(url).path[1:]} WITH (FORCE)")


@cache
def binaries() -> Path | None:
    """Return the folder of initdb and pg_ctl: of PATH, else the newest of Debian's."""
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    needed = ("initdb", "pg_ctl", "postgres")
    return next((each for each in places if all((each / name).exists() for name in needed)), None)


def is_available() -> bool:
    return bool(os.environ.get(NAMED)) or binaries() is not None


def running() -> Cluster:
    """Return the server of this run of pytest, started before if no test has used it yet."""
    if not is_available():
        if REQUIRED:
            pytest.fail(ABSENT)
        pytest.skip(ABSENT)
    folder = Path(os.environ[FOLDER])
    with FileLock(folder / "lock"):
        started = folder / STARTED
        if not started.exists():
            cluster = Cluster(os.environ.get(NAMED) or start(folder))
            asyncio.run(_make_template(cluster))
            started.write_text(cluster.url)
        return Cluster(started.read_text())


def url_of(request: pytest.FixtureRequest) -> str:
    """Return the address of a database of the kind that the parameter names."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{request.getfixturevalue('empty_file')}"


def start(folder: Path, **settings: object) -> str:
    """Make a cluster in a folder of this run and start it; return its address.

    `settings` of the server replace those of SETTINGS.
    """
    data, port = folder / "data", _free_port()
    _run("initdb", "--auth=trust", "--no-sync", "--encoding=UTF8", "--username=easel", data)
    chosen = {**SETTINGS, "port": port, "unix_socket_directories": folder, **settings}
    with (data / "postgresql.conf").open("a") as file:
        file.writelines(f"{name} = '{value}'\n" for name, value in chosen.items())
    resume(folder)
    return f"postgresql://easel@127.0.0.1:{port}/postgres"


def resume(folder: Path) -> None:
    """Start the server of a folder, again after `kill`."""
    _run("pg_ctl", "start", "-w", "-D", folder / "data", "-l", folder / "log")


def kill(folder: Path) -> None:
    """End the server of a folder at once, as a crash does."""
    _run("pg_ctl", "stop", "-m", "immediate", "-D", folder / "data")


def crash(folder: Path) -> None:
    """Kill all processes of the server in a folder, and start the server again."""
    kill(folder)
    resume(folder)


def make_folder() -> Path:
    """Make the folder of a cluster, and let the server's user enter it."""
    folder = Path(tempfile.mkdtemp(prefix="easel-postgres-"))
    if (user := _user()) is not None:
        shutil.chown(folder, user)
    return folder


def remove(folder: Path) -> None:
    """Stop the server that was started in a folder, and remove the folder."""
    if (folder / "data" / "postmaster.pid").exists():
        kill(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _run(program: str, *arguments: object) -> None:
    places = binaries()
    assert places is not None
    command = [str(places / program), *map(str, arguments)]
    # A file and no pipe: the server inherits the output, and would keep a pipe open.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(  # noqa: S603  # programs of PostgreSQL
            command, stdout=output, stderr=output, cwd="/", timeout=60, user=_user(), check=False
        )
        output.seek(0)
        assert done.returncode == 0, output.read().decode()


def _user() -> str | None:
    """Return the user that runs the server: initdb refuses root."""
    if os.geteuid() != 0:
        return None
    known = {each.pw_name for each in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


async def _make_template(cluster: Cluster) -> None:
    from bot.store.postgres import PostgresDatabase

    await cluster.execute(
        f"DROP DATABASE IF EXISTS {TEMPLATE} WITH (FORCE)", f"CREATE DATABASE {TEMPLATE}"
    )
    async with PostgresDatabase(cluster.named(TEMPLATE)):
        pass
    # A template may have no connections; the server ends those of a closed pool a moment later.
    until = time.monotonic() + 10
    while True:
        try:
            await cluster.drop(await cluster.copy())
        except Exception:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.05)
        else:
            return
