"""Render Discord's dialect of Markdown as HTML. No text can inject HTML."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from html import escape
from typing import Final

DEPTH: Final = 8  # limit of nested marks, against deep recursion; deeper ones stay plain text

FENCE: Final = re.compile(r"(?<!\\)```(?:(?P<language>[\w+.#-]+)\n)?\n*(?P<code>.+?)\n*```", re.S)
HEADING: Final = re.compile(r"(?P<marks>#{1,3}) +(?P<text>\S.*)")
SMALL: Final = re.compile(r"-# +(?P<text>\S.*)")
QUOTE: Final = re.compile(r"> (?P<text>.*)")
QUOTE_REST: Final = re.compile(r">>> (?P<text>.*)", re.S)
ITEM: Final = re.compile(r"(?P<indent> *)(?:[-*]|(?P<number>\d{1,9})\.) +(?P<text>\S.*)")

# In order of precedence; those for bold and italics are Discord's own.
INLINE: Final = re.compile(
    r"""
    \\(?P<escaped>[^\w\s]|_)
    | (?P<code>(?P<ticks>`+)(?P<inner>[^`](?:.*?[^`])?)(?P=ticks)(?!`))
    | (?P<mention><(?P<kind>@!?|@&|\#)(?P<id>\d{1,20})>)
    | (?P<everyone>@(?:everyone|here)\b)
    | (?P<command></(?P<path>[^:>\n]{1,100}):\d{1,20}>)
    | (?P<emoji><a?(?P<colons>:\w{2,32}:)\d{1,20}>)
    | (?P<time><t:(?P<seconds>-?\d{1,13})(?::(?P<style>[tTdDfFR]))?>)
    | (?P<masked>\[(?P<label>(?:\\.|[^\[\]\\])+)\]\(<?(?P<target>https?://[^\s<>()]+)>?\))
    | (?P<link><?(?P<address>https?://[^\s<>]*[^\s<>.,:;"'\])])>?)
    | \*\*(?P<bold>(?:\\.|[^\\])+?)\*\*(?!\*)
    | __(?P<underlined>(?:\\.|[^\\])+?)__(?!_)
    | \b_(?P<italic>(?:__|\\.|[^\\_])+?)_\b
    | \*(?=\S)(?P<slanted>(?:\*\*|\\.|\s+(?:\\.|[^\s*\\]|\*\*)|[^\s*\\])+?)\*(?!\*)
    | ~~(?P<struck>.+?)~~
    | \|\|(?P<spoiler>.+?)\|\|
    """,
    re.S | re.X,
)
MARKS: Final[Mapping[str, str]] = {
    "bold": "strong",
    "underlined": "u",
    "italic": "em",
    "slanted": "em",
    "struck": "s",
}
JUMP: Final = re.compile(
    r"https://discord\.com/channels/(?:\d{1,20}|@me)/\d{1,20}/(?P<message>\d{1,20})"
)
# Discord's English formats of times; the default style is "f".
STYLES: Final[Mapping[str, str]] = {
    "t": "{0:%H:%M}",
    "T": "{0:%H:%M:%S}",
    "d": "{0:%d/%m/%Y}",
    "D": "{0.day} {0:%B %Y}",
    "f": "{0.day} {0:%B %Y %H:%M}",
    "F": "{0:%A, }{0.day} {0:%B %Y %H:%M}",
}
UNITS: Final = (
    (365 * 86_400, "year"),
    (30 * 86_400, "month"),
    (86_400, "day"),
    (3_600, "hour"),
    (60, "minute"),
    (1, "second"),
)


@dataclass(frozen=True, slots=True)
class Names:
    """The names for ids in a text. `now` is the time of reading in seconds; `zone` the reader's.

    `messages` are those on the same page: links to them lead to `#m` and the id.
    """

    now: float
    zone: tzinfo = UTC
    users: Mapping[int, str] = field(default_factory=dict)
    roles: Mapping[int, str] = field(default_factory=dict)
    channels: Mapping[int, str] = field(default_factory=dict)
    messages: frozenset[int] = frozenset()


def render(text: str, names: Names) -> str:
    """Render a text with blocks: paragraphs, headings, lists, quotes and code."""
    parts: list[str] = []
    position = 0
    for fence in FENCE.finditer(text):
        parts += _blocks(text[position : fence.start()], names)
        parts.append(f"<pre><code>{escape(fence['code'])}</code></pre>")
        position = fence.end()
    parts += _blocks(text[position:], names)
    return "".join(parts)


def render_line(text: str, names: Names, depth: int = 0) -> str:
    """Render a text without blocks."""
    if depth > DEPTH:
        return _plain(text)
    parts: list[str] = []
    position = 0
    for found in INLINE.finditer(text):
        parts.append(_plain(text[position : found.start()]))
        parts.append(_mark(found, names, depth))
        position = found.end()
    parts.append(_plain(text[position:]))
    return "".join(parts)


def ago(seconds: float) -> str:
    """Return the relative time of a moment `seconds` ago (negative: in the future)."""
    size = round(abs(seconds))
    length, unit = next((each for each in UNITS if size >= each[0]), UNITS[-1])
    number = size // length
    words = f"{number} {unit}{'' if number == 1 else 's'}"
    return f"{words} ago" if seconds >= 0 else f"in {words}"


def _blocks(text: str, names: Names) -> Iterator[str]:
    lines = text.strip("\n").split("\n") if text.strip("\n") else []
    while lines:
        if rest := QUOTE_REST.fullmatch("\n".join(lines)):
            yield f"<blockquote>{render(rest['text'], names)}</blockquote>"
            return
        if quoted := _take(lines, QUOTE):
            inner = "\n".join(line["text"] for line in quoted)
            yield f"<blockquote>{render(inner, names)}</blockquote>"
        elif items := _take(lines, ITEM):
            yield _list(items, names)
        elif heading := HEADING.fullmatch(lines[0]):
            level = len(heading["marks"])
            yield f"<h{level}>{render_line(heading['text'], names)}</h{level}>"
            del lines[0]
        elif small := SMALL.fullmatch(lines[0]):
            yield f"<small>{render_line(small['text'], names)}</small>"
            del lines[0]
        else:
            yield f"<p>{render_line(_paragraph(lines), names)}</p>"


def _take(lines: list[str], block: re.Pattern[str]) -> list[re.Match[str]]:
    """Remove and return the first lines that match this kind of block."""
    taken: list[re.Match[str]] = []
    while lines and (found := block.fullmatch(lines[0])):
        taken.append(found)
        del lines[0]
    return taken


def _paragraph(lines: list[str]) -> str:
    """Remove and return the first line and the following lines that start no block."""
    taken = [lines.pop(0)]
    blocks = (HEADING, SMALL, QUOTE, ITEM, QUOTE_REST)
    while lines and not any(block.fullmatch(lines[0]) for block in blocks):
        taken.append(lines.pop(0))
    return "\n".join(taken)


def _list(items: list[re.Match[str]], names: Names) -> str:
    kind, start = ("ol", f' start="{items[0]["number"]}"') if items[0]["number"] else ("ul", "")
    lines = (
        f'<li class="in{min(len(item["indent"]) // 2, 3)}">{render_line(item["text"], names)}</li>'
        for item in items
    )
    return f"<{kind}{start}>{''.join(lines)}</{kind}>"


def _mark(found: re.Match[str], names: Names, depth: int) -> str:
    kind = str(found.lastgroup)
    if kind in MARKS:
        tag = MARKS[kind]
        return f"<{tag}>{render_line(found[kind], names, depth + 1)}</{tag}>"
    if kind == "spoiler":
        return f'<span class="spoiler">{render_line(found[kind], names, depth + 1)}</span>'
    if kind == "masked":
        return _anchor(found["target"], render_line(found["label"], names, depth + 1), names)
    return LEAVES[kind](found, names)


def _mention(found: re.Match[str], names: Names) -> str:
    tables = {"#": ("#", names.channels), "@&": ("@", names.roles)}
    sign, table = tables.get(found["kind"], ("@", names.users))
    return _pill(sign + table.get(int(found["id"]), "unknown"))


def _time(found: re.Match[str], names: Names) -> str:
    seconds = int(found["seconds"])
    try:
        moment = datetime.fromtimestamp(seconds, names.zone)
    except (OverflowError, OSError, ValueError):
        return _plain(found[0])
    style = found["style"] or "f"
    shown = ago(names.now - seconds) if style == "R" else STYLES[style].format(moment)
    return f'<time title="{STYLES["F"].format(moment)}">{shown}</time>'


LEAVES: Final[Mapping[str, Callable[[re.Match[str], Names], str]]] = {
    "escaped": lambda found, _: escape(found["escaped"]),
    "code": lambda found, _: f"<code>{escape(found['inner'].strip())}</code>",
    "mention": _mention,
    "everyone": lambda found, _: _pill(found["everyone"]),
    "command": lambda found, _: _pill(f"/{found['path']}"),
    "emoji": lambda found, _: escape(found["colons"]),
    "time": _time,
    "link": lambda found, names: _anchor(found["address"], escape(found["address"]), names),
}


def _anchor(address: str, label: str, names: Names) -> str:
    jump = JUMP.fullmatch(address)
    if jump and int(jump["message"]) in names.messages:
        address = f"#m{jump['message']}"
    return f'<a href="{escape(address)}" rel="noreferrer">{label}</a>'


def _pill(text: str) -> str:
    return f'<span class="mention">{escape(text)}</span>'


def _plain(text: str) -> str:
    return escape(text).replace("\n", "<br>")
