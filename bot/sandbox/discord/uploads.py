"""Uploaded files, and the addresses that serve them."""

import asyncio
import hashlib
import hmac
import io
import mimetypes
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

from aiohttp import web
from PIL import Image
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from bot.sandbox.discord.request_body import Json

FRESH_SECONDS: Final = 24 * 3600  # docs/internals/discord.md, Limits: CDN addresses
LONGEST_HEAD: Final = 1024 * 1024  # with more metadata, a picture has no known size
GONE: Final = "This content is no longer available."

IMAGE_READERS: Final = (
    (b"\x89PNG\r\n\x1a\n", PngImageFile),
    (b"\xff\xd8\xff", JpegImageFile),
    (b"GIF8", GifImageFile),
    (b"RIFF", WebPImageFile),
)
WEBP_TYPE: Final = "image/webp"  # missing in the table of some Python versions


@dataclass(frozen=True, slots=True)
class Upload:
    """A file from a member or a client."""

    filename: str
    data: bytes
    content_type: str | None = None


@dataclass(eq=False)
class Attachment:
    """A stored file.

    `folder` is the channel's id, or the application's for input of a command. `gone` is set when
    the message is deleted.
    """

    id: int
    folder: int
    filename: str
    data: bytes
    content_type: str | None
    width: int | None
    height: int | None
    created_at: float
    ephemeral: bool = False
    description: str | None = None
    gone: bool = False

    @property
    def path(self) -> str:
        root = "ephemeral-attachments" if self.ephemeral else "attachments"
        return f"/{root}/{self.folder}/{self.id}/{quote(self.filename)}"


def stored_name(filename: str) -> str:
    """Return the file's name as Discord stores it: no folders, no spaces, no special characters."""
    name = PurePosixPath(filename.replace("\\", "/")).name.replace(" ", "_")
    return re.sub(r"[^\w.\-]", "", name, flags=re.ASCII) or "unknown"


def content_type_of(filename: str) -> str | None:
    if filename.lower().endswith(".webp"):
        return WEBP_TYPE
    return mimetypes.guess_type(filename)[0]


def picture_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height from the header, or None for other data. Call in a thread."""
    for magic, reader in IMAGE_READERS:
        if data.startswith(magic):
            try:
                # the format's reader, because Image.open warns about very large pictures
                head = data if reader is WebPImageFile else data[:LONGEST_HEAD]
                with reader(io.BytesIO(head)) as picture:
                    return picture.size
            except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
                return None
    return None


class Cdn:
    """The file store: signs addresses and serves files."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.origin = ""
        self.files: dict[str, Attachment] = {}
        self.foreign: dict[str, bytes] = {}  # what foreign addresses serve, by address
        self._key = secrets.token_bytes(32)

    async def prepare(
        self, file_id: int, folder: int, upload: Upload, *, ephemeral: bool = False
    ) -> Attachment:
        """Return an attachment that is not served before `store`."""
        size = await asyncio.to_thread(picture_size, upload.data)
        name = stored_name(upload.filename)
        return Attachment(
            id=file_id,
            folder=folder,
            filename=name,
            data=upload.data,
            content_type=upload.content_type or content_type_of(name),
            width=size[0] if size else None,
            height=size[1] if size else None,
            created_at=self.clock(),
            ephemeral=ephemeral,
        )

    def store(self, attachment: Attachment) -> None:
        self.files[attachment.path] = attachment

    def address(self, attachment: Attachment) -> str:
        """Return a freshly signed address."""
        return self._sign(attachment.path)

    def proxy(self, url: str) -> str:
        """Return the address of Discord's copy of a foreign picture: signed, with the query first
        and escaped, then the original's scheme, host and path."""
        parts = urlsplit(url)
        query = f"{quote(f'?{parts.query}', safe='')}/" if parts.query else ""
        path = f"{query}{parts.scheme}/{parts.netloc}{parts.path}"
        return f"{self.origin}/external/{self._external(path)}/{path}"

    def _external(self, path: str) -> str:
        return hmac.new(self._key, path.encode(), hashlib.sha256).hexdigest()

    async def serve_foreign(self, request: web.Request) -> web.Response:
        """Serve a copy. The signature is that of the address byte for byte."""
        path = request.rel_url.raw_path
        data = next(
            (data for url, data in self.foreign.items() if self.proxy(url) == self.origin + path),
            None,
        )
        if data is None:
            return web.Response(status=404, text=GONE)
        return web.Response(body=data, headers={"Content-Type": "image/png"})

    def _sign(self, path: str) -> str:
        issued = int(self.clock())
        dates = f"ex={issued + FRESH_SECONDS:x}&is={issued:x}"
        return f"{self.origin}{path}?{dates}&hm={self._digest(path, dates)}&"

    def _digest(self, path: str, dates: str) -> str:
        return hmac.new(self._key, f"{path}?{dates}".encode(), hashlib.sha256).hexdigest()

    def refresh(self, url: str) -> str | None:
        """Return a freshly signed address of the same file; None for a foreign address."""
        parts = urlsplit(url)
        if f"{parts.scheme}://{parts.netloc}" != self.origin:
            return None
        return self._sign(parts.path)

    def stored(self, url: str) -> Attachment | None:
        """Return the file of an address, which may have expired; None for a foreign address."""
        parts = urlsplit(url)
        ours = f"{parts.scheme}://{parts.netloc}" == self.origin
        return self.files.get(parts.path) if ours else None

    def remove_inputs(self, filename: str | None = None) -> int:
        """Remove the ephemeral attachments of commands and modals now, all or those of a name.

        Return the number of files. Discord removes them "after a set period of time"; here that is
        a day, by the clock of the stand-in.
        """
        found = [
            file
            for file in self.files.values()
            if file.ephemeral and not file.gone and filename in (None, file.filename)
        ]
        for file in found:
            file.gone = True
        return len(found)

    def find(self, path: str, query: str) -> Attachment | None:
        """Return the file of a signed address, or None if the address has expired or the file is
        gone."""
        fields = {name: values[0] for name, values in parse_qs(query).items()}
        dates = f"ex={fields.get('ex', '')}&is={fields.get('is', '')}"
        if not hmac.compare_digest(self._digest(path, dates), fields.get("hm", "")):
            return None
        attachment = self.files.get(path)
        if attachment is None or attachment.gone or self.clock() >= int(fields["ex"], 16):
            return None
        old = self.clock() - attachment.created_at >= FRESH_SECONDS
        return None if attachment.ephemeral and old else attachment

    async def serve(self, request: web.Request) -> web.Response:
        attachment = self.find(request.rel_url.raw_path, request.rel_url.raw_query_string)
        if attachment is None:
            return web.Response(status=404, text=GONE)
        kind = attachment.content_type or "application/octet-stream"
        return web.Response(body=attachment.data, headers={"Content-Type": kind})

    def to_json(self, attachment: Attachment) -> Json:
        url = self.address(attachment)
        shown: Json = {
            "id": str(attachment.id),
            "filename": attachment.filename,
            "size": len(attachment.data),
            "url": url,
            "proxy_url": url,
        }
        optional = {
            "content_type": attachment.content_type,
            "width": attachment.width,
            "height": attachment.height,
            "description": attachment.description,
            "ephemeral": attachment.ephemeral or None,
        }
        return shown | {name: value for name, value in optional.items() if value is not None}
