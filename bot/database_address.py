"""The address of the database, DATABASE_URL: read without the libraries that open it."""

import re
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from bot.errors import StartupError

SQLITE_REMEDY = (
    "DATABASE_URL: {problem}. Set it to a file that Easel may write, e.g. sqlite:///data/easel.db"
)
POSTGRES_FORM = "postgresql://user:password@host:5432/easel"
POSTGRES_REMEDY = (
    f"DATABASE_URL: {{problem}}. Set it to the address of a database, e.g. {POSTGRES_FORM}"
)

_ADDRESS = re.compile(
    r"""
    (?P<name>[\w+]+)://
    (?:(?P<username>[^:/]*)(?::[^@]*)?@)?
    (?:(?:\[(?P<ipv6>[^/?]+)\]|(?P<host>[^/:?]+))?(?::(?P<port>[^/?]*))?)?
    (?:/(?P<database>[^?]*))?
    (?:\?(?P<query>.*))?
    """,
    re.X,
)


def is_postgres(url: str) -> bool:
    """Return whether DATABASE_URL names a database of a PostgreSQL server."""
    return url.strip().lower().startswith(("postgres:", "postgresql:", "postgresql+"))


def label_of(url: str) -> str:
    """Return the host and the database of an address; StartupError if one is missing."""
    try:
        parts = urlsplit(url.strip())
        port, host = parts.port, parts.hostname or ""
        query = parse_qs(parts.query, keep_blank_values=True)
    except ValueError as error:  # the value may hold a password
        raise StartupError(POSTGRES_REMEDY.format(problem="the value is not an address")) from error
    name = unquote(parts.path.removeprefix("/"))
    if parts.scheme not in ("postgres", "postgresql"):
        raise StartupError(
            POSTGRES_REMEDY.format(problem="the address does not begin with postgresql://")
        )
    if not name or "/" in name:
        raise StartupError(
            POSTGRES_REMEDY.format(problem="the address does not end with a database's name")
        )
    if not host and "host" not in query:
        raise StartupError(POSTGRES_REMEDY.format(problem="the address has no host"))
    host = host or query["host"][0]
    return f"{host}:{port}/{name}" if port else f"{host}/{name}"


def database_path(url: str) -> Path:
    """Return the file that DATABASE_URL names; StartupError if SQLite cannot open the address.

    By the rules of SQLAlchemy's `make_url`, which is too slow to import for this alone.
    """
    found = _ADDRESS.fullmatch(url)
    if found is None or not (found["port"] or "0").isdecimal():  # the value may hold a password
        raise StartupError(SQLITE_REMEDY.format(problem="the value is not an address"))
    path = unquote(found["database"] or "")
    if found["name"].partition("+")[0] != "sqlite" or not path or path == ":memory:":
        raise StartupError(
            SQLITE_REMEDY.format(problem="only SQLite files and PostgreSQL are possible")
        )
    if host := found["ipv6"] or found["host"]:
        problem = f"“{host}” would be a host, and is no part of the file's path"
        raise StartupError(SQLITE_REMEDY.format(problem=problem))
    if found["query"] or found["username"] or path.startswith(("file:", "~")):
        raise StartupError(SQLITE_REMEDY.format(problem="only the path of a file is possible"))
    return Path(path)
