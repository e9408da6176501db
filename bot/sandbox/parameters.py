"""Kinds of request parameters, for the tables in an API's own document."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Text:
    """A string of at most `longest` characters."""

    longest: int | None = None
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Integer:
    minimum: int
    maximum: int
    default: int | None = None
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Boolean:
    default: bool


@dataclass(frozen=True, slots=True)
class OneOf:
    values: tuple[str, ...]
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """A single http(s) address or data URI."""


@dataclass(frozen=True, slots=True)
class Addresses:
    most: int


Kind = Text | Integer | Boolean | OneOf | Address | Addresses
Table = Mapping[str, Kind]


def problem(table: Table, required: Sequence[str], body: Mapping[str, object]) -> str | None:
    """Return the first error in a request's parameters, or None. Types are strict: "3" is not 3."""
    for name in required:
        value = body.get(name)
        if value is None or (isinstance(value, str) and not value.strip()):
            return f"{name} is required"
    for name, value in body.items():
        if name not in table:
            return f"Unknown parameter: {name}"
        if (wrong := _wrong(value, table[name])) is not None:
            return f"{name} {wrong}"
    return None


def _wrong(value: object, kind: Kind) -> str | None:
    match kind:
        case Text(longest):
            if not isinstance(value, str):
                return "must be a string"
            too_long = longest is not None and len(value) > longest
            return f"must have at most {longest} characters" if too_long else None
        case Integer():
            return _wrong_number(value, kind)
        case Boolean():
            return None if isinstance(value, bool) else "must be a boolean"
        case OneOf(values):
            return None if value in values else f"must be one of: {', '.join(values)}"
        case Address():
            return None if _is_address(value) else "must be a uri"
        case Addresses(most):
            if not isinstance(value, list) or not all(_is_address(each) for each in value):
                return "must be an array of uris"
            return f"must have at most {most} items" if len(value) > most else None
        case _:
            assert_never(kind)


def _wrong_number(value: object, kind: Integer) -> str | None:
    if value is None and kind.nullable:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        return "must be an integer"
    if not kind.minimum <= value <= kind.maximum:
        return f"must be between {kind.minimum} and {kind.maximum}"
    return None


def _is_address(value: object) -> bool:
    if not isinstance(value, str):
        return False
    if value.startswith("data:"):
        return True
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)
