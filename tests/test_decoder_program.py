"""The program of the decoder: accepted pictures, reduced copies, and limits."""

import io
import json
import os
import resource
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from bot.pictures import decoder_process
from bot.pictures.decoder import PROGRAM
from bot.pictures.decoder_process import MEMORY, WORK, answer, main
from tests.support.decoders import changed
from tests.support.files import picture

ENOUGH = 10**9
REFUSED = b'{"error": "too many pixels"}\n'


@pytest.fixture(autouse=True)
def timers(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, float]]:
    """Record the alarms, which would end the tests and not a decoder."""
    set_to: list[tuple[int, float]] = []
    monkeypatch.setattr(signal, "setitimer", lambda *given: set_to.append(given))
    return set_to


def checked(folder: Path, data: bytes, pixels: int = ENOUGH) -> dict[str, str]:
    (path := folder / "picture").write_bytes(data)
    return answer({"work": "check", "path": str(path), "pixels": pixels, "seconds": 10})


def shrunk(
    folder: Path, data: bytes, limit: int, *, pixels: int = ENOUGH, xmp: str = ""
) -> tuple[dict[str, str], bytes]:
    """Return the answer, and the copy."""
    (path := folder / "picture").write_bytes(data)
    (target := folder / "copy").write_bytes(b"")
    request: dict[str, Any] = {"path": str(path), "target": str(target), "limit": limit}
    said = answer({"work": "shrink", **request, "pixels": pixels, "xmp": xmp, "seconds": 10})
    return said, target.read_bytes()


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_of_more_pixels_than_its_header_had_is_refused(kind: str, tmp_path: Path) -> None:
    data = picture(kind, (100, 80))
    refused = {"error": "too many pixels"}

    assert checked(tmp_path, data, 8000) == {}
    assert checked(tmp_path, data, 7999) == refused
    assert shrunk(tmp_path, data, 100_000, pixels=8000)[0] == {"kind": "jpg"}
    assert shrunk(tmp_path, data, 100_000, pixels=7999) == (refused, b"")


def test_a_png_is_held_against_its_checksums(tmp_path: Path) -> None:
    data = bytearray(picture("PNG", (100, 80)))
    data[-14] ^= 1  # of the checksum of the pixels, which are whole

    assert "error" in checked(tmp_path, bytes(data))


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_a_small_picture_is_decoded(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = Image.new("RGB", (64, 64), "#806040")
    data = encoded(image, kind, **({"lossless": True} if kind == "WEBP" else {}))
    broken, memory = data[:-6] + bytes(6), 64 * 64 * 16  # complete, and of no use
    if kind == "JPEG":
        table = data.index(b"\xff\xc4") + 5
        broken, memory = data[:table] + b"\xff" * 8 + data[table + 8 :], 64 * 64 * 3

    monkeypatch.setattr(decoder_process, "CHECK_MEMORY", memory)
    assert "error" in checked(tmp_path, broken)
    monkeypatch.setattr(decoder_process, "CHECK_MEMORY", memory - 1)
    assert checked(tmp_path, broken) == {}
    assert "error" in checked(tmp_path, data[:-1] if kind == "WEBP" else data[:-2])
    assert checked(tmp_path, data) == {}


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Note the size at which each JPEG is decoded."""
    sizes: list[tuple[int, int]] = []
    load = JpegImageFile.load

    def seen(image: JpegImageFile) -> object:
        sizes.append(image.size)
        return load(image)

    monkeypatch.setattr(JpegImageFile, "load", seen)
    return sizes


def test_a_jpeg_is_decoded_at_an_eighth_of_its_size(
    tmp_path: Path, loaded: list[tuple[int, int]]
) -> None:
    data = picture("JPEG", (160, 80))
    loaded.clear()

    assert checked(tmp_path, data) == {}
    assert loaded == [(20, 10)]


@pytest.mark.parametrize(
    ("mode", "subsampling", "per_pixel"),
    [("RGB", 0, 6), ("RGB", 1, 4), ("RGB", 2, 3), ("L", 0, 2), ("CMYK", 0, 8)],
)
def test_the_memory_of_a_jpeg_depends_on_its_colours(
    mode: str,
    subsampling: int,
    per_pixel: int,
    tmp_path: Path,
    loaded: list[tuple[int, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two bytes for each sample of each pixel."""
    image = Image.effect_noise((128, 80), 80).convert(mode)
    data = encoded(image, "JPEG", subsampling=subsampling)
    for spare, decoded in ((0, 1), (-1, 0)):
        loaded.clear()
        monkeypatch.setattr(decoder_process, "CHECK_MEMORY", 128 * 80 * per_pixel + spare)
        assert checked(tmp_path, data) == {}
        assert len(loaded) == decoded


def test_the_end_of_a_picture_inside_the_metadata_is_not_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder_process, "CHECK_MEMORY", 0)
    inner, plain = picture("JPEG"), picture("JPEG", (300, 200))
    data = plain[:2] + b"\xff\xe1" + (len(inner) + 2).to_bytes(2) + inner + plain[2:]

    assert checked(tmp_path, data) == {}
    assert checked(tmp_path, data[:-2]) == {"error": "the file ends early"}


def test_a_copy_has_as_much_quality_as_its_size_allows(tmp_path: Path) -> None:
    image = Image.effect_noise((200, 120), 80).convert("RGB")
    data, half = encoded(image, "PNG"), image.reduce(2)
    forms = [
        encoded(each, "JPEG", quality=quality, xmp=b"<x/>")
        for each in (image, half)
        for quality in (92, 80, 65)
    ]
    sizes = [len(each) for each in forms]
    assert sizes == sorted(sizes, reverse=True)

    for form in forms:
        assert shrunk(tmp_path, data, len(form), xmp="<x/>") == ({"kind": "jpg"}, form)
    said = shrunk(tmp_path, data, len(forms[-1]) - 1, xmp="<x/>")
    assert said[1] not in forms
    assert shrunk(tmp_path, data, 10) == ({"error": "does not fit into 10 bytes"}, b"")


@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_a_copy_of_a_transparent_picture_is_a_webp(mode: str, tmp_path: Path) -> None:
    image = Image.new("RGBA", (100, 80), (200, 100, 50, 0))
    image.paste((10, 20, 30, 255), (0, 0, 50, 80))
    options = {"transparency": 0} if mode == "P" else {}
    said, copy = shrunk(tmp_path, encoded(image.convert(mode), "PNG", **options), 10_000)

    assert said == {"kind": "webp"}
    with Image.open(io.BytesIO(copy)) as made:
        assert (made.format, made.mode, made.size) == ("WEBP", "RGBA", (100, 80))


@pytest.mark.parametrize(("width", "fits"), [(63, False), (64, True)])
def test_no_copy_is_smaller_than_64_pixels(width: int, fits: bool, tmp_path: Path) -> None:
    said, copy = shrunk(tmp_path, picture("PNG", (width, 20)), 100_000)

    assert ("kind" in said) is bool(copy) is fits


def test_a_small_picture_that_ends_early_is_called_so(tmp_path: Path) -> None:
    said, _ = shrunk(tmp_path, picture("JPEG")[:-100], 100_000)

    assert "truncated" in said["error"]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (MemoryError(), "needs too much memory"),
        (ValueError(), "ValueError"),
        (SyntaxError("a checksum"), "a checksum"),
    ],
)
def test_an_error_is_an_answer(
    error: Exception, text: str, monkeypatch: pytest.MonkeyPatch, timers: list[tuple[int, float]]
) -> None:
    def fail(_: object) -> dict[str, str]:
        raise error

    monkeypatch.setitem(WORK, "fail", fail)

    assert answer({"work": "fail", "seconds": 10}) == {"error": text}
    assert timers == [(signal.ITIMER_REAL, 11), (signal.ITIMER_REAL, 0)]


def test_the_alarm_is_on_while_a_picture_is_read(
    monkeypatch: pytest.MonkeyPatch, timers: list[tuple[int, float]]
) -> None:
    seen: list[tuple[int, float]] = []

    def look(_: object) -> dict[str, str]:
        seen.extend(timers)
        return {"a": "b"}

    monkeypatch.setitem(WORK, "look", look)

    assert answer({"work": "look", "seconds": 3}) == {"a": "b"}
    assert seen == [(signal.ITIMER_REAL, 4)]
    assert timers[1:] == [(signal.ITIMER_REAL, 0)]


def test_requests_are_answered_until_there_are_none(tmp_path: Path) -> None:
    (path := tmp_path / "picture").write_bytes(picture())
    request = {"work": "check", "path": str(path), "pixels": ENOUGH, "seconds": 10}
    with started(PROGRAM) as process:
        for asked, said in ((request, b"{}\n"), ({**request, "pixels": 1}, REFUSED)):
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(asked).encode() + b"\n")
            process.stdin.flush()
            assert process.stdout.readline() == said
        assert process.communicate(timeout=20)[0] == b""  # whoever asks has gone
        assert process.returncode == 0


def test_a_program_without_requests_ends(tmp_path: Path) -> None:
    seconds = "IDLE_SECONDS = 60.0"
    with started(changed(tmp_path, seconds, "IDLE_SECONDS = 0.0")) as process:
        assert process.wait(timeout=20) == 0
        assert process.stdout is not None
        assert process.stdout.read() == b""


def started(program: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-I", "-B", str(program)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603


def test_a_system_that_allows_no_limit_still_gets_a_decoder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tried: list[object] = []

    def refuse(*given: object) -> None:
        tried.append(given)
        raise OSError

    ignored: list[tuple[int, object]] = []
    monkeypatch.setattr(signal, "signal", lambda *given: ignored.append(given))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    monkeypatch.setattr(os, "nice", refuse)
    score = tmp_path / "score"
    monkeypatch.setattr(decoder_process, "Path", lambda _: score)
    with warnings.catch_warnings(), Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        main()  # nobody asks
        with pytest.raises(Image.DecompressionBombWarning):
            warnings.warn("large", Image.DecompressionBombWarning, stacklevel=1)

    assert ignored == [(signal.SIGTERM, signal.SIG_IGN), (signal.SIGINT, signal.SIG_IGN)]
    assert tried == [
        (resource.RLIMIT_AS, (MEMORY, MEMORY)),
        (resource.RLIMIT_CORE, (0, 0)),
        (5,),
    ]
    assert score.read_text() == "1000"
