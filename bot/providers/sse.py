"""Server-sent events, decoded by the rules of the HTML standard; apart from any connection."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bot.errors import ProviderError, Reason

LIMIT = 1024 * 1024  # bytes of one line, and of the data of one event
LINE_END = re.compile(rb"\r\n|\n|\r")
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Event:
    """`id` is the last one that the stream gave, as the standard wants it."""

    event: str
    data: str
    id: str = ""


class Decoder:
    """Fed with bytes as they come, split anywhere. An event is given when its blank line comes."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._line = bytearray()  # a line whose end has not come
        self._after_cr = False  # a line feed that comes now belongs to the line end before it
        self._first = True
        self._event = ""
        self._data: list[str] = []
        self._size = 0
        self._id = ""

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that end in `chunk`. ProviderError where a line or an event is too long."""
        if not chunk:
            return
        if self._after_cr:
            chunk = chunk.removeprefix(b"\n")
        self._after_cr = chunk.endswith(b"\r")
        *ended, rest = LINE_END.split(chunk)
        for part in ended:
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
            line = line.removeprefix(BOM)
            self._first = False
        if not line:
            return self._dispatch()
        # Line ends are no part of any character, so a whole line can be decoded by itself.
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
                pass  # a comment (its name is empty), `retry`, or what the standard does not know
        return None

    def _dispatch(self) -> Event | None:
        event = Event(self._event or "message", "\n".join(self._data), self._id)
        empty = not self._data
        self._event, self._data, self._size = "", [], 0
        return None if empty else event
