"""Words from outside in our messages: any text is possible, and none may change the layout.

They are those of members, and those of services, such as the values of an option.
"""

import re
import unicodedata
from collections.abc import Sequence

from bot.errors import UserError
from bot.ledger import AmountText
from bot.pseudonyms import deleted_member, is_pseudonym
from cogs.ui.numbers import credits_in
from cogs.ui.wording import MORE_VALUES

# Every character that has a meaning in Discord's Markdown; a backslash removes the meaning.
MARKDOWN = re.compile(r"([\\*_~`|>#\[\]()<@:+=.-])")
# Of one word in a sentence: only what would become a link, a mention or a layout.
MARKUP = re.compile(r"([\\*~`|>#\[\]()<@]|(?<!\w)_|_(?!\w)|:(?=//))")
MARKS = 3  # of one letter that are shown: no language needs more, and stacks cover other messages
STACKING = {"Mn", "Me", "Mc"}
LONGEST_WORD = 100  # characters of one value in a sentence
LONGEST_LIST = 1000
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


def sentence(error: UserError, locale: str | None) -> str:
    """Return a message for a member, with every value escaped and shortened.

    Amounts are written as in the language `locale`, by Discord's name.
    """
    words = {
        name: credits_in(value.amount, locale)
        if isinstance(value, AmountText)
        else _value(name, value, error.text)
        for name, value in error.values.items()
    }
    return error.text.format(**words) if words else error.text


def _value(name: str, value: object, text: str) -> object:
    if isinstance(value, tuple):
        return listing([word(str(each)) for each in value], LONGEST_LIST)
    if not isinstance(value, str):
        return value
    if f"`{{{name}}}`" in text:  # code: nothing but its end has a meaning
        return shorten(value.replace("`", "'"), LONGEST_WORD)
    return word(value)


def word(text: str) -> str:
    """Return one line of at most LONGEST_WORD characters that is no link, mention or layout."""
    return MARKUP.sub(r"\\\1", shorten(text, LONGEST_WORD))


def mention(user_id: int | str) -> str:
    """Return a member as a mention, which Discord shows by the name; a deleted one in words."""
    number = int(user_id)
    return deleted_member(number) if is_pseudonym(number) else f"<@{number}>"


def listing(words: Sequence[str], limit: int) -> str:
    """Return as many escaped words as fit into `limit` characters, and the number of the others."""
    shown = [*words]
    while len(shown) > 1 and len(", ".join(shown)) > limit:
        shown.pop()
    text = ", ".join(shown)
    left = len(words) - len(shown)
    return MORE_VALUES.format(values=text, number=left) if left else text


def tidy(text: str) -> str:
    """Return one line without control characters, marks of writing direction and stacked marks."""
    characters: list[str] = []
    marks = 0
    for character in unicodedata.normalize("NFC", text):
        if unicodedata.category(character) in STACKING:
            marks += 1
            if marks > MARKS:
                continue
        elif character not in ZERO_WIDTH_JOINERS:
            marks = 0
        kept = character in ZERO_WIDTH_JOINERS or not _invisible(character)
        characters.append(character if kept else " ")
    return re.sub(r"\s+", " ", "".join(characters)).strip()


def shorten(text: str, limit: int) -> str:
    """Return one line of at most `limit` characters, unescaped: alt texts and choices know no
    Markdown."""
    line = tidy(text)
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _invisible(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
