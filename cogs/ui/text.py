"""Text of members inside our messages: it may say anything and must not change how they look."""

import re
import unicodedata

# Every character that Discord's Markdown gives a meaning to somewhere; a backslash takes it away.
MARKDOWN = re.compile(r"([\\*_~`|>#\[\]()<@:+=.-])")
ORDERED = re.compile(r"\s+")


def plain(text: str, limit: int) -> str:
    """One line without Markdown, mentions or invisible tricks, of at most `limit` characters.

    `limit` counts the backslashes that Discord counts too.
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
    """One line, without control characters and marks that turn the writing direction."""
    kept = (
        character if character in ZERO_WIDTH_JOINERS or not _invisible(character) else " "
        for character in unicodedata.normalize("NFC", text)
    )
    return ORDERED.sub(" ", "".join(kept)).strip()


def shorten(text: str, limit: int) -> str:
    """Raw text cut to `limit` characters, for places that know no Markdown (alt texts, choices)."""
    line = tidy(text)
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


ZERO_WIDTH_JOINERS = "\u200d\ufe0f"  # hold an emoji together


def _invisible(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
