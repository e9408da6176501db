"""The shards of one process, as the operator writes them."""

import pytest

from bot.errors import StartupError
from bot.shards import Shards


@pytest.mark.parametrize(
    ("text", "ids", "count", "shown"),
    [
        ("0/1", (0,), 1, "0/1"),
        ("0-3/8", (0, 1, 2, 3), 8, "0-3/8"),
        ("0,2/8", (0, 2), 8, "0,2/8"),
        ("7,0-1,4/8", (0, 1, 4, 7), 8, "0-1,4,7/8"),
        (" 4-5/8\n", (4, 5), 8, "4-5/8"),
        ("3-3/4", (3,), 4, "3/4"),
        ("00-01/02", (0, 1), 2, "0-1/2"),
    ],
)
def test_numbers_and_ranges_are_read(
    text: str, ids: tuple[int, ...], count: int, shown: str
) -> None:
    shards = Shards.parse(text)

    assert (shards.ids, shards.count, str(shards)) == (ids, count, shown)
    assert Shards.parse(shown) == shards
    assert shards.has_first is (0 in ids)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "'' names no shards"),
        ("0", "'0' names no shards"),
        ("/8", "names no shards"),
        ("0-3", "names no shards"),
        ("0-/8", "names no shards"),
        ("-1/8", "names no shards"),
        ("0 1/8", "names no shards"),
        ("0,,1/8", "names no shards"),
        ("0-1-2/8", "names no shards"),
        ("a/8", "names no shards"),
        ("0/8/8", "names no shards"),
        ("0/-1", "names no shards"),
        ("\u0660/\u0661", "names no shards"),  # digits of another script
        ("0/0", "one shard at least. Write the number of all shards after the slash: 0/1"),
        ("0/000", "one shard at least"),
        ("0/16385", "more shards than a bot can have (16384)"),
        ("0/" + "9" * 5000, "more shards than a bot can have (16384)"),
        ("8/8", "shard 8 is outside the 8 of the bot, which have the numbers 0 to 7"),
        ("6-9/8", "shard 9 is outside"),
        ("0-99999/8", "shard 99999 is outside"),
        ("3-0/8", "runs backwards. Write 0-3"),
        ("0,1,0/8", "shard 0 is named twice"),
        ("0-3,2/8", "shard 2 is named twice"),
    ],
)
def test_other_texts_are_refused_in_one_line(text: str, words: str) -> None:
    with pytest.raises(StartupError) as raised:
        Shards.parse(text)

    line = str(raised.value)
    assert words in line
    assert line.startswith("--shards: ")
    assert line.endswith(".")
    assert "\n" not in line
    assert len(line) < 250
