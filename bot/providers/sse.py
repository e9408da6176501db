"""Decode server-sent events by the rules of the HTML standard, independent of a connection."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bot.errors import ProviderError, Reason

LIMIT = 1024 * 1024  # bytes of one line, and of the data of one event
LINE_END = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Event:
    """An event. `id` is the last that the stream sent, as the standard requires."""

    event: str
    data: str
    id: str = ""


class Decoder:
    """A decoder of bytes that are split anywhere. An event is complete at its blank line."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._line = bytearray()  # a line without its end
        self._after_cr = False  # a line feed now belongs to the line end before
        self._first = True
        self._event = ""
        self._data: list[str] = []
        self._size = 0
        self._id = ""

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Yield the events that end in `chunk`. ProviderError if a line or an event is too long."""
        if not chunk:
            return
        if self._after_cr:
            chunk = chunk.removeprefix(b"\n")
        self._after_cr = chunk.endswith(b"\r")
        *ended, rest = LINE_END.split(chunk)
        for part in ended:
            if not (
                part or self._line or self._data or self._event
            ):  # a server may flood with them
                self._first = False
                continue
            self._grow(part)
            line = bytes(self._line)
            self._line.clear()
            if (event := self._take(line)) is not None:
                yield event
        self._grow(rest)

    def _grow(self, part: bytes) -> None:
        if len(self._line) + len(part) > self._limit:
            raise ProviderError(Reason.MALFORMED, f"a line of over {self._limit} bytes")
        self._line += part

    def _take(self, line: bytes) -> Event | None:
        if self._first:
            line = line.removeprefix(b"\xef\xbb\xbf")
            self._first = False
        if not line:
            return self._dispatch()
        # A line end is never a part of a character, so that each line can be decoded alone.
        name, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._event = value
            case "data":
                self._size += len(line)
                if self._size > self._limit:
                    raise ProviderError(Reason.MALFORMED, f"an event of over {self._limit} bytes")
                self._data.append(value)
            case "id" if "\0" not in value:
                self._id = value
            case _:
                pass  # a comment (its name is empty), `retry`, or an unknown field
        return None

    def _dispatch(self) -> Event | None:
        event = Event(self._event or "message", "\n".join(self._data), self._id)
        empty = not self._data
        self._event, self._data, self._size = "", [], 0
        return None if empty else event
