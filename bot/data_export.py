"""The files of an export: tables as texts, and ZIP files of a limited size. Pure.

Each ZIP file is readable alone: no text is cut within a record, and no other file at all. Whatever
writes or compresses here is blocking: call it in a thread.
"""

import csv
import io
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from shutil import copyfileobj
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from bot.csv_cells import harmless

HEADERS = 76  # bytes of a member's two headers, without its name, which both have
END = 22  # bytes of the end of a ZIP file
LEVEL = 6  # of the compression
LONGEST_TEXT = 4 * 1024 * 1024  # bytes of one text, which is in memory
SPREADSHEETS = "\ufeff"  # by this mark, spreadsheets know the encoding

Record = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Text:
    """A text for a ZIP file; `size` is that of its compressed bytes."""

    name: str
    data: bytes
    size: int

    @classmethod
    def of(cls, name: str, data: bytes) -> "Text":
        compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, -15)
        return cls(name, data, len(compressor.compress(data)) + len(compressor.flush()))


def size_with_headers(name: str, size: int) -> int:
    """Return the bytes that a file of `size` bytes adds to a ZIP file."""
    return HEADERS + 2 * len(name.encode()) + size


def longest_text(limit: int) -> int:
    """Return the bytes of a text that surely fits into an empty ZIP file of `limit` bytes.

    What cannot be compressed becomes longer by a few bytes.
    """
    return min(LONGEST_TEXT, limit - limit // 100 - 1024)


class Zip:
    """A ZIP file on its way to `limit` bytes."""

    def __init__(self, path: Path, limit: int, now: datetime) -> None:
        self._limit = limit
        utc = now.astimezone(UTC)
        self._time = (utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second)
        self._zip = ZipFile(path, "w")
        self.size = END

    def fits(self, name: str, size: int) -> bool:
        """Return whether a file with so many (compressed) bytes has room."""
        return self.size + size_with_headers(name, size) <= self._limit

    def add_text(self, text: Text) -> None:
        info = ZipInfo(text.name, self._time)
        self._zip.writestr(info, text.data, ZIP_DEFLATED, LEVEL)
        self.size += size_with_headers(text.name, info.compress_size)

    def add_file(self, name: str, path: Path) -> None:
        """Copy a file that is compressed already. FileNotFoundError, before anything is written."""
        info = ZipInfo(name, self._time)
        info.compress_type = ZIP_STORED
        with path.open("rb") as source, self._zip.open(info, "w") as target:
            copyfileobj(source, target, 1024 * 1024)
        self.size += size_with_headers(name, info.compress_size)

    def close(self) -> None:
        """Write the end, without which the file is no ZIP file. A second call does nothing."""
        self._zip.close()

    def abandon(self) -> None:
        """Close an unfinished file, which the caller removes."""
        with suppress(OSError, ValueError):
            self._zip.close()


class Table:
    """Records as JSON lines and as CSV, in texts of at most `most` bytes.

    One text of each format has the name of the table; several are numbered, and those of the same
    number have the same records.
    """

    def __init__(self, name: str, columns: Sequence[str], most: int) -> None:
        self._name = name
        self._columns = columns
        self._most = most
        self._lines: list[bytes] = []
        self._rows: list[bytes] = []
        self._sizes = (0, 0)
        self._number = 0

    def extend(self, records: Iterable[Record]) -> list[Text]:
        """Add records, and return the texts that are full before them."""
        return [text for each in records for text in self._add(each)]

    def end(self) -> list[Text]:
        """Return the texts with the records that are left."""
        return self._texts(last=True) if self._lines else []

    def _add(self, record: Record) -> list[Text]:
        line = _encoded(f"{json.dumps(record, ensure_ascii=False, default=_plain)}\n")
        row = self._row(_cell(record[name]) for name in self._columns)
        sizes = (self._sizes[0] + len(line), self._sizes[1] + len(row))
        full = self._texts(last=False) if self._lines and max(sizes) > self._most else []
        if full:
            sizes = (len(line), len(row))
        if not self._lines:
            header = self._row(self._columns)
            self._rows.append(SPREADSHEETS.encode() + header)
            sizes = (sizes[0], sizes[1] + len(header) + 3)
        self._lines.append(line)
        self._rows.append(row)
        self._sizes = sizes
        return full

    def _texts(self, *, last: bool) -> list[Text]:
        self._number += 1
        name = self._name if last and self._number == 1 else f"{self._name}-{self._number}"
        found = [
            Text.of(f"{name}.jsonl", b"".join(self._lines)),
            Text.of(f"{name}.csv", b"".join(self._rows)),
        ]
        self._lines, self._rows = [], []
        return found

    @staticmethod
    def _row(cells: Iterable[str]) -> bytes:
        out = io.StringIO(newline="")
        csv.writer(out).writerow(cells)
        return _encoded(out.getvalue())


def json_text(name: str, value: object) -> Text:
    """Return a value as JSON that people can read."""
    shown = json.dumps(value, ensure_ascii=False, indent=2, default=_plain)
    return Text.of(name, _encoded(shown))


def _encoded(text: str) -> bytes:
    """Return a text in UTF-8, which has no halves of surrogate pairs."""
    return text.encode(errors="replace")


def _plain(value: object) -> object:
    """Return a value of a record as JSON has it.

    A float's shortest text has the thousandths of 10^12 credits exactly.
    """
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"no value of a record: {type(value).__name__}")


def _cell(value: object) -> str:
    """Return a value of a record as a cell: numbers as they are, and no text that is calculated."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case Decimal():
            return f"{value:f}"
        case int() | float():
            return str(value)
        case datetime():
            return value.isoformat()
        case str():
            return harmless(value)
    return json.dumps(value, ensure_ascii=False, default=_plain)
