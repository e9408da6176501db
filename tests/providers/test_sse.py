import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import ProviderError, Reason
from bot.providers.sse import Decoder, Event


def decoded(*chunks: bytes, limit: int = 1000) -> list[Event]:
    decoder = Decoder(limit)
    return [event for chunk in chunks for event in decoder.feed(chunk)]


def ending(*chunks: bytes, limit: int) -> tuple[list[Event], str]:
    """The events, and how it ended, so that both can be compared."""
    decoder, found = Decoder(limit), []
    try:
        for chunk in chunks:
            for event in decoder.feed(chunk):
                found.append(event)  # those before an error count
    except ProviderError as error:
        return found, str(error.reason)
    return found, "open"


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\n", [Event("message", "a")]),
        (b"event: x\ndata: a\n\n", [Event("x", "a")]),
        (b"data:a\rdata: b\r\r", [Event("message", "a\nb")]),
        (b"data: a\r\ndata\r\n\r\n", [Event("message", "a\n")]),
        (b"data:  two spaces\n\n", [Event("message", " two spaces")]),
        (b"\xef\xbb\xbfdata: a\n\n", [Event("message", "a")]),
        (b"data: \xef\xbb\xbfa\n\n", [Event("message", "\ufeffa")]),
        (b": keep-alive\n\ndata: a\n\n", [Event("message", "a")]),
        (b"event: x\n\ndata: a\n\n", [Event("message", "a")]),
        (b"data\n\n", [Event("message", "")]),
        (
            b"id: 7\ndata: a\n\ndata: b\n\n",
            [Event("message", "a", "7"), Event("message", "b", "7")],
        ),
        (b"id: 7\nid: \0\ndata: a\n\n", [Event("message", "a", "7")]),
        (b"retry: 10\nother: x\ndata: a\n\n", [Event("message", "a")]),
        (b"data: a\n", []),
        (b"data: \xc3\xa9\xff\n\n", [Event("message", "é\ufffd")]),
    ],
)
def test_a_stream_is_read_by_the_standard(stream: bytes, events: list[Event]) -> None:
    assert decoded(stream) == events
    assert decoded(*(stream[at : at + 1] for at in range(len(stream)))) == events


PARTS = st.sampled_from(
    [
        b"data: ",
        b"event: x",
        b"id: 1",
        b":",
        b"\r",
        b"\n",
        b"\r\n",
        b"\n\n",
        b"\xef\xbb\xbf",
        b"\xc3",
    ]
)


@given(st.lists(PARTS | st.binary(max_size=8), max_size=20).map(b"".join), st.data())
def test_any_split_of_any_bytes_gives_the_same_events(stream: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    chunks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    assert ending(*chunks, limit=24) == ending(stream, limit=24)


@pytest.mark.parametrize("stream", [b"x" * 101, b"data: " + b"x" * 95, b"data: 9 bytes\n" * 9])
def test_what_never_ends_is_cut_off(stream: bytes) -> None:
    with pytest.raises(ProviderError) as caught:
        decoded(stream, limit=100)

    assert caught.value.reason is Reason.MALFORMED


def test_a_line_and_an_event_may_be_as_long_as_the_limit() -> None:
    longest = b"data: " + b"x" * 94
    assert len(decoded(longest + b"\n\n", limit=100)) == 1
    assert len(decoded(longest[:50], longest[50:], b"\n\n", limit=100)) == 1
    ten = b"data: 1234\n" * 10
    assert len(decoded((ten + b"\n") * 3, limit=100)) == 3  # each event is counted anew
    for stream in (longest + b"x\n\n", ten + b"data:\n\n"):
        with pytest.raises(ProviderError):
            decoded(stream, limit=100)
    with pytest.raises(ProviderError):
        decoded(longest, b"x", limit=100)


def test_an_event_may_have_a_megabyte_of_data() -> None:
    data = b"x" * (1024 * 1024 - len(b"data: "))
    (event,) = Decoder().feed(b"data: " + data + b"\n\n")
    assert len(event.data) == len(data)
    with pytest.raises(ProviderError):
        list(Decoder().feed(b"data: x" + data))


def test_an_empty_chunk_changes_nothing() -> None:
    assert decoded(b"data: a\r", b"", b"\ndata: b\n\n") == [Event("message", "a\nb")]
    assert decoded(b"", b"\xef\xbb\xbfdata: a\n\n") == [Event("message", "a")]


def test_only_the_first_line_may_begin_with_a_mark_of_its_encoding() -> None:
    for before in (b"\n", b":\n", b"id: 7\n\n"):
        assert decoded(before + b"\xef\xbb\xbfdata: a\n\n") == []
