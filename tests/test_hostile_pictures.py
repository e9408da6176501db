"""Files that anybody may have made: a picture, or a refusal that names it, and nothing else."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.errors import ProviderError
from bot.jobs import Attachment, Picture, PictureKind
from bot.pictures import (
    Downloader,
    InputPictures,
    InputRefused,
    NotAPicture,
    PictureStore,
    measure,
    shrink,
    sniff,
)
from tests.support.files import jpeg_with_metadata, picture, png_header

pytestmark = pytest.mark.long

FILES = [
    picture("PNG", (40, 30)),
    picture("PNG", (40, 30), "P"),
    picture("PNG", (40, 30), "RGBA"),
    picture("PNG", (40, 30), "1"),
    picture("JPEG", (40, 30)),
    picture("JPEG", (40, 30), "L"),
    picture("JPEG", (40, 30), "CMYK"),
    picture("WEBP", (40, 30)),
    picture("WEBP", (40, 30), "RGBA"),
    picture("GIF", (40, 30), "P"),
    jpeg_with_metadata(300),
    png_header(40, 30),
    png_header(20_000, 20_000),
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A real file with some of its bytes changed, cut out, doubled or lost at its end."""
    data = bytearray(draw(st.sampled_from(FILES)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, min(len(data), 400)))
        match draw(st.sampled_from(["change", "cut", "insert", "end"])):
            case "change":
                new = draw(st.binary(min_size=1, max_size=4))
                data[at : at + len(new)] = new
            case "cut":
                del data[at : at + draw(st.integers(1, 30))]
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=30))
            case _:
                del data[draw(st.integers(0, len(data))) :]
    return bytes(data)


@settings(max_examples=400)
@given(damaged())
def test_a_damaged_file_is_measured_or_refused(data: bytes) -> None:
    assert sniff(data) in {*PictureKind, None}
    with suppress(NotAPicture):
        width, height = measure(data)
        assert width > 0
        assert height > 0


class Given(Downloader):
    """Fetches always the same."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._data = data

    async def fetch(self, url: str, headers_for: object, *, limit: int = 0) -> bytes:
        return self._data


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(damaged() | st.binary(max_size=100))
async def test_an_input_is_taken_or_refused_by_its_name(tmp_path: Path, data: bytes) -> None:
    inputs = InputPictures(Given(data), PictureStore(tmp_path))
    try:
        kept = await inputs.download(Attachment("cat.png", "https://cdn.example/cat.png"))
    except InputRefused as refused:
        says = str(refused)
    else:
        assert isinstance(kept, Picture)
        assert kept.kind is not PictureKind.GIF
        return
    assert says.startswith("`cat.png` ")


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(damaged() | st.binary(max_size=100))
async def test_a_result_is_kept_and_shrunk_or_a_provider_error(tmp_path: Path, data: bytes) -> None:
    with suppress(ProviderError):
        await PictureStore(tmp_path).store(data)
        small, kind = await shrink(data, 2000)
        assert len(small) <= 2000
        assert sniff(small) is kind


@given(st.text(max_size=300))
async def test_any_name_of_a_file_is_one_plain_word_of_the_sentence(name: str) -> None:
    inputs = InputPictures(Given(b""), PictureStore(Path("unused")))
    with pytest.raises(InputRefused) as refused:
        await inputs.download(Attachment(name, "https://cdn.example/x"))

    says = str(refused.value)
    says.encode()
    assert len(says.splitlines()) == 1
    assert len(says) < 150
    assert says.count("`") == 2
