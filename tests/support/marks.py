"""Files of every kind to be marked, and readers that know nothing of Easel's own ones."""

import io
import json
import shutil
import struct
import subprocess
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image, PngImagePlugin

from bot.pictures.marks import Mark, Recipe, SourceType, marked_pieces
from tests.support.files import frames, picture

IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
DC = "{http://purl.org/dc/elements/1.1/}"
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
SYSTEM = "Qwen Image 2 Pro at Oxen.ai, requested by Easel"

RECIPE = Recipe(
    model="oxen",
    prompt="a fox & a <hen>,\nin “snow” 雪 \x01\uffff",
    options={"negative_prompt": "rain", "seed": 7, "expand_prompt": False},
    job="abcdefghijklmnop",
)


def marked(data: bytes, mark: Mark) -> bytes:
    """Return the bytes of a marked file. Raises Unmarkable."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        return b"".join(marked_pieces(Path(file.name), mark))


MARK = Mark(SourceType.GENERATED, SYSTEM)
MARK_WITH_RECIPE = Mark(SourceType.GENERATED, SYSTEM, RECIPE)

# As another program writes it: attributes, a property of IPTC, a struct, an address in rdf:about.
FOREIGN = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Another 1.0">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="uuid:1&amp;2" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:ext='http://iptc.org/std/Iptc4xmpExt/2008-02-29/'
    xmp:CreatorTool="Another > 'tool'"
    ext:DigitalSourceType = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture">
   <ext:AISystemUsed>Another model</ext:AISystemUsed>
   <ext:AIPromptInformation>the prompt of another program</ext:AIPromptInformation>
   <dc:creator xmlns:dc="http://purl.org/dc/elements/1.1/"><rdf:Seq><rdf:li>Ada</rdf:li></rdf:Seq>
   </dc:creator>
   <ext:AddlModelInfo/>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
PADDING<?xpacket end="w"?>""".replace("PADDING", " " * 2000).encode()


def saved(kind: str, mode: str = "RGB", **options: Any) -> bytes:  # noqa: ANN401  # Pillow's own
    """Return a picture with these options of Pillow's writer; in RGBA, of several opacities."""
    out = io.BytesIO()
    image = Image.effect_noise((48, 32), 80).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize((48, 32)))
    image.save(out, kind, **options)
    return out.getvalue()


def with_xmp(kind: str, packet: bytes, **options: Any) -> bytes:  # noqa: ANN401
    if kind == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", packet.decode())
        return saved(kind, pnginfo=info, **options)
    return saved(kind, xmp=packet, **options)


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010E] = "a description"
    return exif


PLAIN = {
    "png": picture("PNG"),
    "png of a palette": picture("PNG", mode="P"),
    "png with alpha": saved("PNG", "RGBA"),
    "animated png": frames("PNG", 3),
    "jpeg": picture("JPEG"),
    "grey jpeg": picture("JPEG", mode="L"),
    "progressive jpeg": saved("JPEG", progressive=True),
    "lossy webp": picture("WEBP"),
    "lossless webp": saved("WEBP", lossless=True),
    "lossy webp with alpha": saved("WEBP", "RGBA"),
    "lossless webp with alpha": saved("WEBP", "RGBA", lossless=True),
    "animated webp": frames("WEBP", 3),
    "png with exif": saved("PNG", exif=_exif()),
    "jpeg with exif": saved("JPEG", exif=_exif()),
    "webp with exif": saved("WEBP", exif=_exif()),
}
WITH_XMP = {
    **{f"{kind} with xmp": with_xmp(kind, FOREIGN) for kind in ("PNG", "JPEG", "WEBP")},
    **{
        f"{kind} with xmp and exif": with_xmp(kind, FOREIGN, exif=_exif())
        for kind in ("PNG", "JPEG", "WEBP")
    },
}
FILES = PLAIN | WITH_XMP


def png_chunk(kind: bytes, data: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + check


def riff_chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def webp_of(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def jpeg_segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


JUMBF = (  # the beginning of a manifest store: a superbox, whose description names c2pa
    b"JP\0\1\0\0\0\1\0\0\0\x38jumb\0\0\0\x1ejumdc2pa\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71\3c2pa\0"
)


def with_c2pa(kind: str, size: tuple[int, int] = (48, 32)) -> bytes:
    data = picture(kind, size)
    match kind:
        case "PNG":
            return data[:33] + png_chunk(b"caBX", JUMBF[8:]) + data[33:]
        case "JPEG":
            return data[:2] + jpeg_segment(0xEB, JUMBF) + data[2:]
        case _:
            return webp_of(data[12:], riff_chunk(b"C2PA", JUMBF[8:]))


def parts_of(data: bytes) -> list[tuple[bytes, bytes]]:
    """Return everything in a file but XMP, and but the header of WebP's extended format."""
    if data.startswith(b"\x89PNG"):
        return [each for each in _png_parts(data) if not each[1].startswith(b"XML:com.adobe.xmp\0")]
    if data.startswith(b"\xff\xd8"):
        return list(_jpeg_parts(data))
    return [each for each in _webp_parts(data) if each[0] not in {b"XMP ", b"VP8X"}]


def _png_parts(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        body = data[at + 4 : at + 8 + length]
        assert data[at + 8 + length : at + 12 + length] == struct.pack(">I", zlib.crc32(body))
        yield body[:4], body[4:]
        at += 12 + length


def _jpeg_parts(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 2
    while data[at + 1] != 0xDA:
        assert data[at] == 0xFF
        (length,) = struct.unpack_from(">H", data, at + 2)
        body = data[at + 4 : at + 2 + length]
        if not body.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
            yield data[at : at + 2], body
        at += 2 + length
    yield b"scan", data[at:]


def _webp_parts(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    assert struct.unpack_from("<I", data, 4)[0] == len(data) - 8
    at = 12
    while at < len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        yield kind, data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    assert at == len(data)


def decoded(data: bytes) -> list[tuple[str, bytes]]:
    """Return the pixels of every frame."""
    with Image.open(io.BytesIO(data)) as image:
        found = []
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            found.append((image.mode, image.tobytes()))
        return found


def xmp_in(data: bytes) -> bytes:
    """Return the packet that Pillow finds."""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        packet = image.info.get("xmp", b"")
        assert isinstance(packet, bytes)
        return packet


def properties_in(data: bytes) -> dict[str, list[str]]:
    """Return the texts of the top-level properties of the packet that Pillow finds."""
    found: dict[str, list[str]] = {}
    packet = xmp_in(data)
    root = ElementTree.fromstring(packet.decode("utf-8-sig")) if packet else None  # noqa: S314
    for node in [] if root is None else root.iter(f"{RDF}Description"):
        for name, value in node.attrib.items():
            found.setdefault(name, []).append(value)
        for child in node:
            found.setdefault(child.tag, []).append("".join(child.itertext()))
    return found


needs_exiftool = pytest.mark.skipif(
    shutil.which("exiftool") is None,
    reason="exiftool is not installed (Debian's package libimage-exiftool-perl)",
)


def exiftool(path: Path) -> dict[str, object]:
    """Return the XMP of a file and what exiftool objects to, by "group:tag"."""
    command = ["exiftool", "-json", "-G1", "-validate", "-warning", "-error", "-XMP:all", str(path)]
    shown = subprocess.run(command, capture_output=True, check=False, timeout=30)  # noqa: S603
    (found,) = json.loads(shown.stdout)
    assert isinstance(found, dict)
    return found
