"""The transcript of a demonstration, line by line."""

import time
from typing import TextIO


class Transcript:
    """Writes to a text stream at once; times are seconds since the transcript began."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._since = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._since

    def say(self, text: str = "") -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def head(self, text: str) -> None:
        self.say(f"\n{text}")

    def did(self, who: str, what: str) -> None:
        """An act of somebody."""
        self._at(f"{who}: {what}")

    def saw(self, what: str) -> None:
        """Report a result that is correct."""
        self._at(f"✓ {what}")

    def missed(self, expected: str, seen: str) -> None:
        self._at(f"✗ expected: {expected}")
        self._at(f"  seen:     {seen}")

    def _at(self, text: str) -> None:
        self.say(f"{self.seconds:6.1f} s  {text}")
