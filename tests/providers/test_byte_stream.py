"""The bytes that an event stream may send, and the turns of other tasks between its reads."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from bot.errors import ProviderError, Reason
from bot.providers.byte_stream import STREAM_BYTES, ByteStream

MEGABYTE = 1024 * 1024


class Received:
    """An answer that has so many bytes in every read."""

    def __init__(self, number: int) -> None:
        self.content = self
        self.number = number
        self.asked: list[int] = []
        self.closed = False

    async def read(self, most: int) -> bytes:
        self.asked.append(most)
        return b"x" * self.number

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Set the clock of the streams."""
    now = [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr("bot.providers.byte_stream.time", clock)
    return lambda value: now.__setitem__(0, value)


def stream_of(received: Received) -> ByteStream:
    return ByteStream(received, lambda _: ProviderError(Reason.UNKNOWN))  # type: ignore[arg-type]


async def test_a_stream_may_send_a_megabyte_in_ten_seconds(
    seconds: Callable[[float], None],
) -> None:
    received = Received(STREAM_BYTES // 2)
    stream = stream_of(received)
    await stream.read()
    seconds(10.0)
    await stream.read()
    received.number = 1
    with pytest.raises(ProviderError) as caught:
        await stream.read()

    assert (caught.value.reason, STREAM_BYTES) == (Reason.MALFORMED, MEGABYTE)
    assert set(received.asked) == {8 * 1024}


async def test_after_ten_seconds_a_stream_may_send_as_much_again(
    seconds: Callable[[float], None],
) -> None:
    received = Received(STREAM_BYTES)
    stream = stream_of(received)
    await stream.read()
    seconds(10.5)
    await stream.read()
    received.number = 1
    seconds(20.5)
    with pytest.raises(ProviderError):
        await stream.read()
    stream.close()
    assert received.closed


async def test_other_tasks_run_between_two_reads_of_a_stream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The reads take no time."""
    waits: list[float] = []

    async def sleep(delay: float) -> None:
        waits.append(delay)
        await asyncio.sleep(0)

    monkeypatch.setattr("bot.providers.byte_stream.asyncio", SimpleNamespace(sleep=sleep))
    stream, ran = stream_of(Received(1)), list[bool]()
    other = asyncio.create_task(asyncio.sleep(0))
    other.add_done_callback(lambda _: ran.append(True))
    for _ in range(5):
        await stream.read()

    assert ran == [True]
    assert waits == [0] * 5
