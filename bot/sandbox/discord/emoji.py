"""Emoji in components and reactions: Unicode, and the custom ones of servers."""

import re
import unicodedata
from collections.abc import Collection
from typing import Final

from bot.sandbox.discord.request_body import Form, Json

JOINERS: Final = re.compile("[\u200d\ufe0e\ufe0f\U000e0020-\U000e007f]")  # ZWJ, variation, tags
KEYCAP: Final = re.compile("[0-9#*]\ufe0f?\u20e3")
# emoji outside the category of symbols (So): ℹ is a letter, the others are punctuation
IRREGULAR: Final = frozenset("ℹ‼⁉〰©®")
FIRST_SYMBOL: Final = 0x2100


def is_unicode_emoji(text: str) -> bool:
    """Return whether a text is one emoji, as far as Unicode's categories say."""
    if KEYCAP.fullmatch(text):
        return True
    bare = JOINERS.sub("", text)
    return bool(bare) and all(
        one in IRREGULAR
        or (ord(one) >= FIRST_SYMBOL and unicodedata.category(one) in ("So", "Sm", "Sk"))
        for one in bare
    )


def read_emoji(form: Form, known: Collection[int]) -> Json:
    """Read the emoji of a button or an option. `known` are the ids of the servers' own emoji."""
    form.only({"id", "name", "animated"})
    number = form.snowflake("id")
    if number is not None:
        name = form.text("name", 32)
        if number not in known:
            form.wrong("id", "BUTTON_COMPONENT_INVALID_EMOJI", "Invalid emoji")
        shown: Json = {"id": str(number), "name": name}
        return shown | ({"animated": True} if form.flag("animated") else {})
    name = form.text("name", 64, low=1, required=True) or ""
    if name and not is_unicode_emoji(name):
        form.wrong("name", "BUTTON_COMPONENT_INVALID_EMOJI", "Invalid emoji")
    return {"name": name}
