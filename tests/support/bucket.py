"""A bucket on loopback: moto's S3, which fails on request."""

import atexit
import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from threading import Thread
from typing import Any
from urllib.request import Request, urlopen

import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import BaseWSGIServer, make_server

from bot.jobs import Picture
from bot.pictures import open_store
from bot.pictures.bucket import BucketStore
from bot.pictures.store import name_of
from bot.settings import Settings

SECRET = "the-secret-of-the-bucket"
ERROR = "<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>"


@dataclass
class Fault:
    """The answer to matching requests, instead of moto's."""

    method: str
    path: str
    status: str
    code: str
    header: str = ""  # only requests with this one, as WSGI writes its name

    def hits(self, method: str, path: str, environ: Mapping[str, Any]) -> bool:
        has_header = not self.header or self.header in environ
        return bool(re.fullmatch(self.method, method) and re.search(self.path, path) and has_header)


class FakeS3:
    """A server in a thread. `requests` are the methods and paths so far, with their queries."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.before: Callable[[str, str], object] | None = None  # called before each request
        self.requests: list[tuple[str, str]] = []
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server: BaseWSGIServer | None = None
        self._port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Serve, on the same port again after a stop."""
        self._server = make_server("127.0.0.1", self._port, self._answer, threaded=True)
        self._port = self._server.server_port
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        self._server = None

    @contextmanager
    def failing(
        self,
        method: str = ".*",
        path: str = "",
        status: str = "503 Service Unavailable",
        code: str = "ServiceUnavailable",
    ) -> Iterator[None]:
        """Answer matching requests with an error during the block."""
        fault = Fault(method, path, status, code)
        self.faults.append(fault)
        try:
            yield
        finally:
            self.faults.remove(fault)

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if environ["QUERY_STRING"]:
            path = f"{path}?{environ['QUERY_STRING']}"
        self.requests.append((method, path))
        if self.before is not None:
            self.before(method, path)
        for fault in self.faults:
            if fault.hits(method, path, environ):
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                start(fault.status, [("Content-Type", "application/xml")])
                return [b"" if method == "HEAD" else ERROR.format(code=fault.code).encode()]
        answer: Iterable[bytes] = self._moto(environ, start)
        return answer


@dataclass
class Bucket:
    """A bucket of one test."""

    server: FakeS3
    name: str

    @property
    def url(self) -> str:
        return f"s3://{self.name}/the/prefix"

    def store(self, folder: Path) -> BucketStore:
        """Return a store, as another process would open it; `folder` has the database."""
        settings = {"pictures_url": self.url, "database_url": f"sqlite:///{folder}/easel.db"}
        opened = open_store(Settings.load(None, settings))
        assert isinstance(opened, BucketStore)
        return opened

    @property
    def keys(self) -> dict[str, Any]:
        """The objects as moto holds them, by their keys after the prefix."""
        held = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[self.name].keys
        return {key.removeprefix("the/prefix/"): held[key] for key in held}

    def age(self, made: Picture, age: timedelta) -> None:
        """Let a picture, and its copies, be written `age` ago."""
        then = datetime.now(UTC) - age
        for key, held in self.keys.items():
            if made.sha256 in key:
                held.last_modified = then.replace(tzinfo=held.last_modified.tzinfo)


_servers: list[FakeS3] = []  # one for all tests of this process
atexit.register(time.sleep, 0.2)  # for threads of obstore, which must not meet the end of Python


@contextmanager
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """Make a bucket, and set the credentials for it in the environment."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    if not _servers:
        _servers.append(FakeS3())
    made = Bucket(_servers[0], f"easel-{token_hex(4)}")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)  # loopback is reached directly
    for name, value in environment(made).items():
        monkeypatch.setenv(name, value)
    with urlopen(Request(f"{made.server.url}/{made.name}", method="PUT")):  # noqa: S310  # loopback
        pass
    try:
        yield made
    finally:
        made.server.before = None
        made.server.faults.clear()
        made.server.requests.clear()


def environment(of: Bucket) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": "the-key-of-the-bucket",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": of.server.url,
    }


def key_of(made: Picture) -> str:
    return f"{made.sha256[:2]}/{name_of(made)}"
