"""Pictures of phones and cameras that no model accepts are named for what they are."""

import pytest

from bot.pictures.header import foreign_kind
from bot.sandbox.discord import Upload
from tests.support.easel import Stage, text_of


def container(brand: bytes) -> bytes:
    return b"\0\0\0\x18ftyp" + brand + bytes(100)


@pytest.mark.parametrize(
    ("brand", "kind"), [(b"heic", "HEIC"), (b"mif1", "HEIC"), (b"avif", "AVIF")]
)
async def test_a_picture_of_a_foreign_kind_is_named(at: Stage, brand: bytes, kind: str) -> None:
    async with at.easel():
        refused = text_of(await at.edit(Upload("cat.heic", container(brand))))

    assert refused == (
        f"`cat.heic` is a picture of the kind {kind}. Save it as PNG or JPEG, and attach that file."
    )


async def test_a_video_is_no_picture(at: Stage) -> None:
    async with at.easel():
        refused = text_of(await at.edit(Upload("cat.mp4", container(b"isom"))))

    assert "is not a picture" in refused
    assert foreign_kind(b"") is None
