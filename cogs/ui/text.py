"""Members' own words in our messages: any text is possible, and none may change the layout."""

import re
import unicodedata

# Every character that has a meaning in Discord's Markdown; a backslash removes the meaning.
MARKDOWN = re.compile(r"([\\*_~`|>#\[\]()<@:+=.-])")
ZERO_WIDTH_JOINERS = "\u200d\ufe0f"  # hold an emoji together


def plain(text: str, limit: int) -> str:
    """Return one line without Markdown, mentions or invisible characters.

    `limit` counts characters with the added backslashes, as Discord does.
    """
    line = tidy(text)
    escaped = MARKDOWN.sub(r"\\\1", line)
    if len(escaped) <= limit:
        return escaped
    while len(escaped) > limit - 1:
        over = len(escaped) - (limit - 1)
        line = line[: -max(over // 2, 1)]
        escaped = MARKDOWN.sub(r"\\\1", line)
    return escaped.rstrip() + "…"


def tidy(text: str) -> str:
    """Return one line without control characters and marks of writing direction."""
    characters = (
        character if character in ZERO_WIDTH_JOINERS or not _invisible(character) else " "
        for character in unicodedata.normalize("NFC", text)
    )
    return re.sub(r"\s+", " ", "".join(characters)).strip()


def shorten(text: str, limit: int) -> str:
    """Return one line of at most `limit` characters, unescaped: alt texts and choices know no
    Markdown."""
    line = tidy(text)
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _invisible(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
