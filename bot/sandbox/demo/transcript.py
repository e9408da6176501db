"""Print the events of a demonstration, one line each."""

import time
from typing import TextIO


class Transcript:
    """A text stream that is flushed after each line; times are seconds since the start."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._since = time.perf_counter()
        self.names: dict[str, str] = {}  # of members, by their mentions

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._since

    def say(self, text: str = "") -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def head(self, text: str) -> None:
        self.say(f"\n{text}")

    def did(self, who: str, what: str) -> None:
        """Print an action of a member."""
        self._at(f"{who}: {what}")

    def saw(self, what: str) -> None:
        """Print an expected result."""
        self._at(f"✓ {what}")

    def missed(self, expected: str, seen: str) -> None:
        self._at(f"✗ expected: {expected}")
        self._at(f"  seen:     {seen}")

    def _at(self, text: str) -> None:
        for mention, name in self.names.items():
            text = text.replace(mention, f"@{name}")
        self.say(f"{self.seconds:6.1f} s  {text}")
