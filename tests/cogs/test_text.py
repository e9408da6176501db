import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import UserError
from cogs.ui.text import listing, mention, plain, sentence, shorten, tidy, word


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


@pytest.mark.parametrize(
    "text", [r"\\", "*", "_", "~", "`", "|", ">", "#", "[", "]", "(", ")", "<"]
)
def test_a_prompt_has_no_markdown(text: str) -> None:
    assert plain(f"a{text}b", 9) == "a" + "".join(f"\\{each}" for each in text) + "b"


def test_a_prompt_that_fits_to_the_character_is_whole() -> None:
    assert plain("abcde", 5) == "abcde"
    assert plain("abcdef", 5) == plain("abcdefg", 5) == "abcd…"
    assert plain("a*b*", 6) == r"a\*b\*"
    assert plain("a*b*", 5) == r"a\*b…"
    assert plain("ab* cd", 5) == r"ab\*…"
    assert plain("abc def", 5) == "abc…"


def test_a_shortened_text_fits_to_the_character() -> None:
    assert shorten("abcde", 5) == "abcde"
    assert shorten("abcdef", 5) == "abcd…"
    assert shorten("abc def", 5) == "abc…"
    assert shorten("a\nb *c*", 99) == "a b *c*"


def test_marks_stack_three_high_on_one_letter() -> None:
    marks = "\u0353\u0354\u0355\u0356"

    assert tidy(f"x{marks}y{marks}") == f"x{marks[:3]}y{marks[:3]}"
    assert tidy(f"x{marks}\u200d{marks}y") == f"x{marks[:3]}\u200dy"
    assert tidy(f"x{marks[:3]}") == f"x{marks[:3]}"
    assert tidy(marks) == marks[:3]


def test_letters_are_composed_before_their_marks_are_counted() -> None:
    assert tidy("o\u0308" + "\u0353\u0354\u0355") == "\u00f6\u0353\u0354\u0355"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        ("a_b 1.5 - x:y", "a_b 1.5 - x:y"),
        ("_a_ b_", r"\_a\_ b\_"),
        ("https://x.y", r"https\://x.y"),
        ("<@1> [a](b)", r"\<\@1\> \[a\]\(b\)"),
        ("x" * 100, "x" * 100),
        ("x" * 101, "x" * 99 + "…"),
    ],
)
def test_a_word_in_a_sentence_is_no_link_mention_or_layout(text: str, shown: str) -> None:
    assert word(text) == shown


def test_a_listing_says_how_many_words_are_left_out() -> None:
    words = ["aa", "bb", "cc"]

    assert listing(words, 10) == "aa, bb, cc"
    assert listing(words, 9) == "aa, bb and 1 more"
    assert listing(words, 6) == "aa, bb and 1 more"
    assert listing(words, 5) == "aa and 2 more"
    assert listing(words, 1) == "aa and 2 more"
    assert listing([], 1) == ""


def test_only_a_number_below_zero_stands_for_a_deleted_member() -> None:
    assert (mention(0), mention("12"), mention("-12")) == ("<@0>", "<@12>", "deleted member 0012")


def test_the_values_of_a_sentence_are_escaped_by_their_place() -> None:
    def told(text: str, **values: object) -> str:
        return sentence(UserError(text, **values), "en-US")

    assert told("No {what}.", what="*a* `b`") == r"No \*a\* \`b\`."
    assert told("No `{what}`.", what="*a* `b`") == "No `*a* 'b'`."
    assert told("No `{what}`.", what="x" * 101) == f"No `{'x' * 99}…`."
    assert told("{count} of {what}.", count=2, what="x") == "2 of x."
    assert told("One of {all}.", all=("*a*", "b")) == r"One of \*a\*, b."
    many = told("One of {all}.", all=("x" * 99,) * 12)
    assert many == f"One of {', '.join(['x' * 99] * 9)} and 3 more."
    assert told("No {value}.") == "No {value}."


def test_a_list_of_words_in_a_sentence_has_a_thousand_characters() -> None:
    words = tuple("x" * 98 for _ in range(10))  # 998 characters

    fits = UserError("{all}", all=words)
    assert "more" not in sentence(fits, None)
    assert "more" not in sentence(UserError("{all}", all=(*words[:9], "x" * 100)), None)
    assert sentence(UserError("{all}", all=(*words, "x")), None).endswith(" and 1 more")
