"""The forms of a text that depends on a number."""

from typing import NamedTuple


class Plural(NamedTuple):
    """The same text for the number one and for all other numbers, which `{count}` stands for."""

    one: str
    many: str


class Range(NamedTuple):
    """The same text for one figure, `{last}`, and for a range from `{first}` to `{last}`."""

    one: str
    many: str


def plural(texts: Plural, count: int) -> str:
    """Return the text that fits the number, with the number filled in."""
    return (texts.one if count == 1 else texts.many).format(count=count)
