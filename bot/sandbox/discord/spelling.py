"""The spelling in which a client sends a chosen value."""

from enum import Enum


class Spelling(Enum):
    """The spelling of chosen values in commands, selects, radios and checkboxes.

    `VALUE` is what Discord documents. Bots have received the label instead, or the value in
    another case; the other members are these faults, for tests.
    """

    VALUE = "value"
    LABEL = "label"
    CASE = "case"

    def of(self, value: object, label: str) -> object:
        """Return the value as sent; numbers have no other spelling."""
        if not isinstance(value, str) or self is Spelling.VALUE:
            return value
        return label if self is Spelling.LABEL else value.swapcase()
