"""Files that anybody may have made: a picture, or a refusal that names it, and nothing else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.backoff import utc_now
from bot.errors import ProviderError
from bot.jobs import Attachment, Picture, PictureKind
from bot.pictures import (
    Downloader,
    InputRefused,
    NotAPicture,
    measure,
    sniff,
)
from bot.services import Services
from bot.store.database import Database
from tests.support.files import jpeg_with_metadata, picture, png_header
from tests.support.services import services_on, shrunk

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

    @asynccontextmanager
    async def fetched(
        self, url: str, headers_for: object, *, limit: int = 0, member: int = 0
    ) -> AsyncIterator[bytes]:
        yield self._data


async def taken(services: Services, name: str = "cat.png") -> Picture:
    async with services.inputs.place(1) as intake:
        return await intake.download(Attachment(name, "https://cdn.example/cat.png"))


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(damaged() | st.binary(max_size=100))
async def test_an_input_is_taken_or_refused_by_its_name(
    database: Database, tmp_path: Path, data: bytes
) -> None:
    services = services_on(database, tmp_path, utc_now, downloader=Given(data))
    try:
        async with services.decoder:
            kept = await taken(services)
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
async def test_a_result_is_kept_and_shrunk_or_a_provider_error(
    database: Database, tmp_path: Path, data: bytes
) -> None:
    services = services_on(database, tmp_path, utc_now)
    async with services.decoder:
        with suppress(ProviderError):
            path = await shrunk(services, data, 500)
            assert path.stat().st_size <= 500


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=300))
async def test_any_name_of_a_file_is_one_plain_word_of_the_sentence(
    database: Database, tmp_path: Path, name: str
) -> None:
    services = services_on(database, tmp_path, utc_now, downloader=Given(b""))
    with pytest.raises(InputRefused) as refused:
        await taken(services, name)

    says = str(refused.value)
    says.encode()
    assert len(says.splitlines()) == 1
    assert len(says) < 150
    assert says.count("`") == 2


# Of 0xC0 to 0xCF, all but DHT, JPG and DAC begin a frame (ITU-T T.81, table B.1).
FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}


@pytest.mark.parametrize("marker", range(0xC0, 0xD0))
def test_the_size_of_a_jpeg_is_in_its_frame_header_alone(marker: int) -> None:
    segment = b"\xff" + bytes([marker]) + b"\0\x0b\x08" + b"\x01\x02\x03\x04" + bytes(4)
    data = b"\xff\xd8" + segment + b"\xff\xd9"

    if marker in FRAMES:
        assert measure(data) == (0x0304, 0x0102)
    else:
        with pytest.raises(NotAPicture):
            measure(data)
