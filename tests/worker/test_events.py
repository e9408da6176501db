"""The stream of an account: followed with the duty, announced while it lives, opened again."""

import asyncio
import logging
from collections import Counter

import pytest

from bot.store.coordination import News
from bot.worker import events
from bot.worker.events import follow_events
from tests.support.clock import Sleeps
from tests.support.duties import without_duties
from tests.support.parts import Served, ends_soon


@pytest.fixture
def heard(made: Served) -> list[tuple[News, str]]:
    found: list[tuple[News, str]] = []
    for news in (News.STREAM_LIVES, News.STREAM_ENDED, News.ENDED):

        def note(text: str, news: News = news) -> None:
            found.append((news, text))

        made.services.coordination.listen(news, note)
    return found


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "STREAM_RETRY", 0.01)
    monkeypatch.setattr(events, "DUTY_WAIT", 0.01)


async def test_an_end_and_the_end_of_the_stream_are_announced(
    made: Served, heard: list[tuple[News, str]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "bot.worker.events")
    (remote_id,) = await made.submitted()

    def happened() -> bool:
        if made.oxen.events.listeners and not made.oxen.generations[remote_id].settled:
            made.oxen.runner.advance(remote_id, "failed")
        if (News.ENDED, remote_id) in heard:
            made.oxen.drop_streams()
        return heard.count((News.STREAM_LIVES, "oxen")) > 1

    await ends_soon(asyncio.create_task(follow_events(made.services, "oxen")), happened)

    kinds = [news for news, _ in heard]
    assert kinds[:4] == [News.STREAM_LIVES, News.ENDED, News.STREAM_ENDED, News.STREAM_LIVES]
    assert heard[1] == (News.ENDED, remote_id)
    assert heard[2] == (News.STREAM_ENDED, "oxen")
    assert "event stream of oxen ended, opening another: " in caplog.text


async def test_a_sign_of_life_is_announced_every_five_seconds(
    made: Served, heard: list[tuple[News, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many chunks arrive."""
    seconds = [100.0]
    monkeypatch.setattr(events, "elapsed", lambda: seconds[0])
    remote_ids = await made.submitted(count=3)
    task = asyncio.create_task(follow_events(made.services, "oxen"))
    steps = iter([0.0, 4.999, 5.0])
    announced: list[int] = []

    def happened() -> bool:
        numbers = Counter(news for news, _ in heard)
        if not made.oxen.events.listeners:
            return False
        if numbers[News.ENDED] == len(announced) and len(announced) < 3:
            announced.append(numbers[News.STREAM_LIVES])
            seconds[0] = 100.0 + next(steps)
            made.oxen.runner.advance(remote_ids[len(announced) - 1], "failed")
        return numbers[News.ENDED] == 3

    await ends_soon(task, happened)

    assert Counter(news for news, _ in heard)[News.STREAM_LIVES] == 2


async def test_without_the_duty_no_stream_is_opened(
    made: Served, sleeps: Sleeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "DUTY_WAIT", 7.0)
    services = without_duties(made.services)
    task = asyncio.create_task(follow_events(services, "oxen"))
    await ends_soon(task, lambda: len(sleeps.seconds) > 2)

    assert sleeps.seconds[:3] == [7.0] * 3
    assert made.oxen.requests == []


async def test_between_two_streams_there_is_a_pause(
    made: Served, heard: list[tuple[News, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "STREAM_RETRY", 1000.0)
    task = asyncio.create_task(follow_events(made.services, "oxen"))
    await made.oxen.listening()
    made.oxen.drop_streams()
    async with asyncio.timeout(20):
        while (News.STREAM_ENDED, "oxen") not in heard:
            await asyncio.sleep(0.001)
    await asyncio.sleep(0.02)
    await ends_soon(task, lambda: True)

    assert len(made.oxen.requests) == 1
    assert heard.count((News.STREAM_ENDED, "oxen")) == 1
