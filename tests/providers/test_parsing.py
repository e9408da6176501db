"""The bounds of what is read in an answer: ids, amounts, words, addresses and errors."""

import logging
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from bot.errors import Reason
from bot.providers.error_mapping import (
    classify,
    detail_of,
    error_codes,
    error_texts,
    has_error,
    has_own_error,
    one_line,
)
from bot.providers.oxen.rows import enqueued_at, event_id, rows_of, unwrapped
from bot.providers.parsing import (
    JsonObject,
    State,
    Vocabulary,
    amount,
    identifier,
    pictures,
    prompts,
)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1_000_000, Decimal(1_000_000)),
        (1_000_001, None),
        (1_000_000.5, None),
        (0, Decimal(0)),
        ("0." + "1" * 35, Decimal("0." + "1" * 35)),
        ("0." + "1" * 36, None),
        ("1".rjust(80), Decimal(1)),
        ("1".rjust(81), None),
        ("1e-35", Decimal("1e-35")),
        ("1e-36", None),
        ("1e6", Decimal(1_000_000)),
        ("1e7", None),
        ("Infinity", None),
        (Decimal(1), None),  # not of JSON
    ],
)
def test_an_amount_is_of_a_usual_size(value: object, number: Decimal | None) -> None:
    assert amount(value) == number


def test_another_largest_amount_may_be_allowed() -> None:
    assert amount(10**15, Decimal(10**15)) == 10**15
    assert amount(10**15 + 1, Decimal(10**15)) is None
    assert amount("7.5", Decimal("7.5")) == Decimal("7.5")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("x" * 200, "x" * 200),
        (" " + "x" * 200 + " ", "x" * 200),
        (".", None),
        ("..", None),
        ("...", "..."),
        (0, "0"),
        (-(10**200) + 1, None),  # with its sign one character too many
        (-5, "-5"),
        (1.5, None),
    ],
    ids=range(9),
)
def test_an_id_fits_into_a_path_and_a_table(value: object, found: str | None) -> None:
    assert identifier(value) == found


def test_unknown_words_are_logged_a_hundred_times_at_most(caplog: pytest.LogCaptureFixture) -> None:
    words = Vocabulary("oxen")
    for number in range(105):
        assert words.state(f"word {number}") is State.RUNNING
        assert words.state(f"word {number}") is State.RUNNING

    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 100
    assert lines[99] == "oxen: unknown status 'word 99', taken as running"


def test_of_a_long_unknown_word_the_beginning_counts(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    words = Vocabulary("oxen")
    for end in ("a", "b"):
        words.state("x" * 100 + end)
    words.state("x" * 99 + "c")

    assert [record.getMessage() for record in caplog.records] == [
        f"oxen: unknown status '{'x' * 40}', taken as running"
    ] * 2


@pytest.mark.parametrize(
    ("url", "fits"),
    [
        ("https://x/".ljust(8192, "y"), True),
        ("https://x/".ljust(8193, "y"), False),
        ("HTTPS://x/y", True),
        ("http://x/y", True),
        ("httpx://x/y", False),
        ("DATA:IMAGE/png;base64,aGk=", True),
        ("data:image/png;base64,".ljust(9000, "A"), True),
        ("data:imag/png;base64,aGk=", False),
        ("", False),
    ],
    ids=range(9),
)
def test_an_address_of_a_picture_has_a_known_scheme_and_length(url: str, fits: bool) -> None:
    assert pictures({"url": url}) == ((url,) if fits else ())


FIRST, SECOND = "https://x/1.png", "https://x/2.png"


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"images": [FIRST], "image": SECOND}},
        {"data": {"image": FIRST, "outputs": [SECOND]}},
        {"data": [FIRST], "outputs": [SECOND]},
        {"data": {"outputs": [FIRST]}, "outputs": [SECOND]},
        {"outputs": [FIRST], "output": [SECOND]},
        {"output": FIRST, "images": [SECOND]},
        {"images": [FIRST], "image_urls": [SECOND]},
        {"image_urls": [FIRST], "result_url": SECOND},
        {"result_url": FIRST, "url": SECOND},
        {"url": FIRST, "image_url": SECOND},
        {"image_url": FIRST, "result": {"images": [SECOND]}},
        {"result": {"images": [FIRST]}, "output": {"images": [SECOND]}},
        {"result": {"images": [FIRST], "image": {"url": SECOND}}},
        {"result": {"image": FIRST, "outputs": [SECOND]}},
        {"output": {"url": FIRST}, "image": {"url": SECOND}},
        {"images": [{"url": FIRST, "image_url": SECOND, "b64_json": "aGk="}]},
        {"images": [{"image_url": FIRST, "b64_json": "aGk="}]},
    ],
    ids=str,
)
def test_the_first_field_with_a_picture_counts(body: JsonObject) -> None:
    assert pictures(body) == (FIRST,)


@pytest.mark.parametrize("name", ["data", "result", "output"])
@pytest.mark.parametrize("listed", ["images", "data", "output", "outputs"])
def test_a_drawn_prompt_is_found_in_each_place(name: str, listed: str) -> None:
    assert prompts({name: {listed: [{"revised_prompt": "one"}]}}) == ("one",)
    assert prompts({listed: [{"actual_prompt": "one"}]}) == ("one",)


def test_the_parts_of_an_error_are_read_in_order() -> None:
    listed = {"msg": "eighth", "type": "x"}
    body = {
        "error": {"detail": "first", "message": "second", "title": "third"},
        "message": "fourth",
        "detail": "fifth",
        "error_message": "sixth",
        "title": "seventh",
        "status_message": [listed, {"msg": " "}, {"msg": 7}],
    }
    in_order = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth"]

    assert error_texts(body) == in_order
    assert error_texts({**body, "error": "none", "title": "fourth"}) == [
        *("fourth", "fifth", "none", "sixth", "eighth")
    ]
    assert [error_texts(each) for each in ("text", " ", None, 7)] == [["text"], [], [], []]


def test_the_newer_code_of_an_error_comes_first() -> None:
    body = {
        "code": "A1",
        "error": {"code": "B", "type": ":c"},
        "type": "d.d",
        "status_message": "e-e",
    }

    assert error_codes(body) == ["a1", "b", "c", "d.d", "e-e"]
    assert error_codes({"error": " F ", "code": "with spaces", "type": 5}) == ["f"]
    assert error_codes({"code": "x" * 80}) == ["x" * 80]
    assert error_codes({"code": "x" * 81}) == []
    assert error_codes({"code": "x".rjust(99)}) == ["x"]
    assert error_codes({"code": "x".rjust(100)}) == []
    assert error_codes("text") == []


def test_an_error_of_the_apis_own_is_told_from_that_of_a_proxy() -> None:
    for name in ("error", "code", "status_message"):
        assert has_error({name: "x"})
        assert has_own_error({name: "x"})
    for name in ("message", "detail"):
        assert has_error({name: "x"})
        assert not has_own_error({name: "x"})
    for body in ({}, {"error": None}, {"error": ""}, {"title": "x"}, "error", None, ["error"]):
        assert not has_error(body)
        assert not has_own_error(body)


def test_the_first_two_thousand_characters_of_an_error_are_searched() -> None:
    word = "moderation"
    near, far = word.rjust(2000), word.rjust(2001)[:2001]
    assert classify({"message": near}) is Reason.REJECTED
    assert classify({"message": far.replace(word, word[:-4])[:2000] + word}) is Reason.UNKNOWN
    assert classify({"message": "x" * 1992, "detail": word}) is Reason.REJECTED
    assert classify({"message": "x" * 1993, "detail": word}) is Reason.UNKNOWN
    texts = [{"msg": f"text {number}"} for number in range(9)]
    assert classify({"detail": [*texts, {"msg": word}]}) is Reason.REJECTED
    assert classify({"detail": [*texts, {"msg": "text"}, {"msg": word}]}) is Reason.UNKNOWN
    assert len(detail_of({"message": "x" * 5000})) == 2000


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ("invalid api key", 499, Reason.AUTH),
        ("invalid api key", 500, Reason.UNAVAILABLE),
        ("invalid api key", None, Reason.AUTH),
        ({"error": "invalid api key"}, 500, Reason.AUTH),
        ({"code": "invalid_params", "message": "Wrong."}, 500, Reason.INVALID),
        ({"code": "invalid_params", "message": "Model not found"}, 500, Reason.NOT_FOUND),
        ({"code": "xtimeout"}, None, Reason.UNKNOWN),
        ({"code": "x_timeout", "error": {"code": "y_rate_limited"}}, None, Reason.TIMEOUT),
        ({"code": "unsupported_model", "message": "cannot load image"}, 404, Reason.NOT_FOUND),
        ({"code": "invalid_input", "message": "cannot load image"}, 404, Reason.INPUT),
        ({}, 399, Reason.UNKNOWN),
        ({}, 501, Reason.UNAVAILABLE),
    ],
)
def test_code_status_and_text_give_the_reason_in_this_order(
    body: object, status: int | None, reason: Reason
) -> None:
    assert classify(body, status) is reason


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"code": "A", "message": "Words."}, "a: Words."),
        ({"code": "A", "message": " a: "}, " a: "),
        ({"code": "A"}, "a"),
        ({"message": "Words."}, "Words."),
        ({"error": "timeout"}, "timeout"),
        ({}, ""),
    ],
)
def test_the_detail_of_an_error_is_its_code_and_its_text(body: object, detail: str) -> None:
    assert detail_of(body) == detail


def test_a_text_for_the_log_has_300_characters_at_most() -> None:
    assert one_line("x" * 300) == "x" * 300
    assert one_line("x" * 301) == "x" * 299 + "…"
    assert one_line("<b>" + "x " * 3 + f"<{'y' * 500}>z") == "x x x z"
    assert "y" in one_line(f"<{'y' * 501}>")
    assert one_line("x".rjust(6000)) == "x"
    assert one_line("x".rjust(6001)) == ""


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("row", "seconds"),
    [
        ({"enqueued_at": NOON, "created_at": 5}, NOON),
        ({"enqueued_at": None, "created_at": NOON}, NOON),
        ({"enqueued_at": 0, "created_at": NOON}, 0.0),
        ({"enqueued_at": -1, "created_at": NOON}, NOON),
        ({"enqueued_at": 99_999_999_999}, 99_999_999_999.0),
        ({"enqueued_at": 100_000_000_000}, 100_000_000.0),
        ({"enqueued_at": 99_999_999_999_999}, 99_999_999_999.999),
        ({"enqueued_at": 100_000_000_000_000}, None),
        ({"enqueued_at": "2026-03-01T12:00:00Z"}, NOON),
        ({"enqueued_at": "2026-03-01T13:00:00+01:00"}, NOON),
        ({"enqueued_at": "2026-03-01T12:00:00.5Z"}, NOON + 0.5),
        ({"enqueued_at": "2026-03-01T12:00:00"}, None),
        ({"enqueued_at": "nan"}, None),
        ({"enqueued_at": [5]}, None),
        ({}, None),
    ],
    ids=str,
)
def test_the_time_of_a_row_is_read_in_each_format(row: JsonObject, seconds: float | None) -> None:
    assert enqueued_at(row) == seconds


def test_a_list_of_rows_is_found_in_each_envelope() -> None:
    row, other = {"id": "1"}, {"generation_id": "2"}
    assert rows_of({"generations": [row, 5], "data": [other]}) == (row,)
    assert rows_of({"data": [other]}) == (other,)
    assert rows_of({"generations": [], "data": [other]}) == ()
    assert rows_of([row, None]) == (row,)
    assert rows_of({"generation": row}) == (row,)
    assert rows_of(other) == (other,)
    for body in ({"status": "x"}, "x", None):
        assert rows_of(body) is None


def test_a_row_is_unwrapped_if_it_has_an_id_or_a_status() -> None:
    for name in ("generation", "data"):
        for row in ({"id": "1"}, {"generation_id": "1"}, {"status": None}):
            assert unwrapped({name: row, "status": "success"}) is row
        body = {name: {"url": "x"}}
        assert unwrapped(body) is body
    assert unwrapped({"generation": {"id": "1"}, "data": {"id": "2"}}) == {"id": "1"}


def test_the_id_of_an_event_is_read_from_an_object_alone() -> None:
    assert event_id('{"generation_id": "g1", "id": "g2"}') == "g1"
    assert event_id('{"id": 7}') == "7"
    for data in ('["g1"]', '"g1"', "{", "[" * 100_000, "{}"):
        assert event_id(data) is None
