"""The shards of one process: which of the bot's shards it holds, out of how many."""

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from bot.errors import StartupError

MOST: Final = 16_384  # of one bot; 2,500 servers in each are more than any bot has
SHAPE: Final = re.compile(r"([0-9]{1,5}(?:-[0-9]{1,5})?(?:,[0-9]{1,5}(?:-[0-9]{1,5})?)*)/([0-9]+)")


@dataclass(frozen=True, slots=True)
class Shards:
    """Some of the `count` shards of a bot, in rising order.

    Discord sends each server's events to shard `(server id >> 22) % count`, and direct messages to
    shard 0. All processes of a bot have the same count.
    """

    ids: tuple[int, ...]
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shards":
        """Read `0-3/8`, `0,2/8` or `0/1`: numbers and ranges, then the count of all shards.

        StartupError, a line that names --shards, if the text cannot be read or names no such shard.
        """
        matched = SHAPE.fullmatch(text.strip())
        if matched is None:
            raise StartupError(
                f"--shards: {text[:40]!r} names no shards. Write their numbers, a slash, and the "
                "number of all shards of the bot: 0-3/8, 0,2/8 or 0/1."
            )
        count = _count_in(matched[2])
        ids = sorted(number for part in matched[1].split(",") for number in _range(part, count))
        for number, following in pairwise(ids):
            if number == following:
                raise StartupError(f"--shards: shard {number} is named twice. Name each once.")
        return cls(tuple(ids), count)

    @property
    def has_first(self) -> bool:
        """True for the process that also has the tasks of the whole bot, such as registration.

        During a rolling restart, two processes may have shard 0 at once.
        """
        return 0 in self.ids

    def __str__(self) -> str:
        runs: list[list[int]] = []
        for number in self.ids:
            if runs and number == runs[-1][-1] + 1:
                runs[-1].append(number)
            else:
                runs.append([number])
        parts = [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
        return f"{','.join(parts)}/{self.count}"


def _count_in(digits: str) -> int:
    count = int(digits) if len(digits) <= len(str(MOST)) else MOST + 1
    if count == 0:
        raise StartupError(
            "--shards: a bot has one shard at least. Write the number of all shards after the "
            "slash: 0/1."
        )
    if count > MOST:
        raise StartupError(
            f"--shards: {digits[:20]} are more shards than a bot can have ({MOST}). Write the "
            "number of all shards after the slash: 0-3/8."
        )
    return count


def _range(part: str, count: int) -> range:
    """Return the shards of `2` or `0-3`, all of which exist."""
    first, _, last = part.partition("-")
    low, high = int(first), int(last or first)
    if low > high:
        raise StartupError(f"--shards: the range {part} runs backwards. Write {last}-{first}.")
    if high >= count:
        raise StartupError(
            f"--shards: shard {high} is outside the {count} of the bot, which have the numbers 0 "
            f"to {count - 1}. Change the numbers, or the number of all shards after the slash."
        )
    return range(low, high + 1)
