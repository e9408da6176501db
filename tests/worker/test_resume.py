"""After a start, running jobs are watched again by a few queries, however many they are."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event

from bot.store import running
from tests.support.delivery import drawing
from tests.support.easel import Stage


@contextmanager
def statements() -> Iterator[list[str]]:
    """Yield a list of the statements that any database executes meanwhile."""
    found: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:  # noqa: ANN401
        found.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@pytest.mark.parametrize("page", [4, running.PAGE])
async def test_running_jobs_are_watched_by_pages(
    at: Stage, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(running, "PAGE", page)
    number = 6
    async with at.easel():
        await drawing(at, number)

    with statements() as executed:
        async with at.easel() as app:
            async with asyncio.timeout(10):
                while b"easel_watched_jobs 6.0" not in app.services.metrics.text(None):
                    await asyncio.sleep(0.01)
    reads = [each for each in executed if each.startswith("SELECT generations.")]

    assert len(reads) == -(-number // page)
