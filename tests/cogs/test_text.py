import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogs.ui.text import plain, shorten, tidy


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("# big\n```code", r"\# big \`\`\`code"),
        ("[free](https://evil.example)", r"\[free\]\(https\://evil\.example\)"),
        ("@everyone <@1> <#2>", r"\@everyone \<\@1\> \<\#2\>"),
        ("-# small\n> quote\n- list\n1. one", r"\-\# small \> quote \- list 1\. one"),
        ("a\x00b\u202ec\u2066d", "a b c d"),
        ("  two   spaces ", "two spaces"),
    ],
)
def test_a_prompt_keeps_its_words_and_loses_its_tricks(hostile: str, shown: str) -> None:
    assert plain(hostile, 200) == shown


def test_emoji_stay_whole() -> None:
    family = "👩‍👩‍👧 ☀️"

    assert tidy(family) == family


@given(st.text(max_size=3000), st.integers(10, 500))
def test_it_is_one_line_within_the_limit_and_all_markdown_is_escaped(text: str, limit: int) -> None:
    shown = plain(text, limit)

    assert len(shown) <= limit
    assert "\n" not in shown
    unescaped = re.sub(r"\\.", "", shown)
    assert not re.search(r"[*_`|<>@#\[\]]", unescaped)


@given(st.text(max_size=300))
def test_shortened_text_fits(text: str) -> None:
    assert len(shorten(text, 100)) <= 100
