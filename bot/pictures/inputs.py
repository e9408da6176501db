"""Input pictures: checked before a request is accepted, and stored before they are used."""

import asyncio
import io
import re
import warnings
from collections.abc import Mapping, Sequence

from PIL import Image, UnidentifiedImageError

from bot.errors import ProviderError, Reason, UserError
from bot.jobs import Attachment, Picture, PictureKind
from bot.pictures.download import Downloader
from bot.pictures.files import PictureStore
from bot.pictures.header import MAX_PIXELS, NotAPicture, measure, sniff

MIB = 1024 * 1024
MAX_BYTES = 10 * MIB
# The member waits for this check, and Discord accepts a reply within 3 s.
CHECK_TIMEOUT = 1.2  # seconds


class InputRefused(UserError):
    """A picture that no model accepts. Each subclass holds one sentence, which names the file."""

    def __init__(self, attachment: Attachment, text: str, **values: object) -> None:
        # Nothing in a name may change the layout of the sentence.
        name = re.sub(r"[^\w.\- ]", "", attachment.name)[:60] or "picture"
        super().__init__(text, name=name, **values)


class InputGone(InputRefused):
    def __init__(self, attachment: Attachment) -> None:
        super().__init__(attachment, "`{name}` is no longer available. Attach the picture again.")


class InputUnreadable(InputRefused):
    def __init__(self, attachment: Attachment) -> None:
        super().__init__(attachment, "`{name}` cannot be read. Attach a PNG, JPEG or WebP.")


class InputEmpty(InputRefused):
    def __init__(self, attachment: Attachment) -> None:
        super().__init__(attachment, "`{name}` is empty. Attach a PNG, JPEG or WebP.")


class InputNotAPicture(InputRefused):
    def __init__(self, attachment: Attachment) -> None:
        super().__init__(attachment, "`{name}` is not a picture. Attach a PNG, JPEG or WebP.")


class InputIsGif(InputRefused):
    def __init__(self, attachment: Attachment) -> None:
        super().__init__(attachment, "`{name}` is a GIF. Save it as PNG, and attach that file.")


class InputDamaged(InputRefused):
    def __init__(self, attachment: Attachment) -> None:
        super().__init__(
            attachment,
            "`{name}` is damaged and cannot be read to the end. Save the picture again, and "
            "attach that file.",
        )


class InputTooLarge(InputRefused):
    def __init__(self, attachment: Attachment, size: int) -> None:
        """`size` is in bytes."""
        super().__init__(
            attachment,
            "`{name}` has {size} MiB, and a picture may have up to {limit} MiB. "
            "Attach a smaller copy.",
            size=f"{size / MIB:.0f}",
            limit=MAX_BYTES // MIB,
        )


class InputOfTooManyPixels(InputRefused):
    def __init__(self, attachment: Attachment, width: int, height: int) -> None:
        super().__init__(
            attachment,
            "`{name}` has {width}x{height} pixels, and a picture may have up to {limit} million. "
            "Attach a smaller copy.",
            width=width,
            height=height,
            limit=MAX_PIXELS // 1_000_000,
        )


class InputPictures:
    def __init__(self, downloader: Downloader, store: PictureStore) -> None:
        self._downloader = downloader
        self._store = store
        self._decoding = asyncio.Semaphore(1)  # a large picture takes 160 MB meanwhile

    async def check(self, attachments: Sequence[Attachment]) -> None:
        """Raise InputRefused for the first picture whose description or first bytes are wrong.

        An attachment whose first bytes do not arrive in time is checked by `download` only.
        """
        for each in attachments:
            _check_description(each)
        await asyncio.gather(*(self._check_head(each) for each in attachments))

    async def download(self, attachment: Attachment) -> Picture:
        """Download, check and store a picture.

        Raises InputRefused if no model accepts the picture or the file is gone, ProviderError if
        the download failed and may be retried.
        """
        try:
            data = await self._downloader.fetch(attachment.url, _no_headers, limit=MAX_BYTES)
        except ProviderError as error:
            if error.reason is Reason.NOT_FOUND:
                raise InputGone(attachment) from error
            if error.reason is Reason.MALFORMED:
                raise InputUnreadable(attachment) from error
            raise
        _check_kind(attachment, data)
        try:
            _check_pixels(attachment, *measure(data))
        except NotAPicture as error:
            raise InputDamaged(attachment) from error
        async with self._decoding:
            await asyncio.to_thread(_check_whole, attachment, data)
        return await self._store.store(data)

    async def _check_head(self, attachment: Attachment) -> None:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT):
                head = await self._downloader.fetch_head(attachment.url, 64)
        except (TimeoutError, ProviderError):
            return
        _check_kind(attachment, head)


def _no_headers(_: str) -> Mapping[str, str]:
    return {}


def _check_description(attachment: Attachment) -> None:
    """Check the size and the pixels that Discord reports, if it does."""
    size = attachment.size
    if size == 0:
        raise InputEmpty(attachment)
    if size is not None and size > MAX_BYTES:
        raise InputTooLarge(attachment, size)
    if attachment.width and attachment.height:
        _check_pixels(attachment, attachment.width, attachment.height)


def _check_kind(attachment: Attachment, data: bytes) -> None:
    kind = sniff(data)
    if kind is PictureKind.GIF:
        raise InputIsGif(attachment)
    if not data:
        raise InputEmpty(attachment)
    if kind is None:
        raise InputNotAPicture(attachment)


def _check_pixels(attachment: Attachment, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise InputOfTooManyPixels(attachment, width, height)


def _check_whole(attachment: Attachment, data: bytes) -> None:
    """Read a file to the end: a PNG by its checksums, other kinds by decoding."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as picture:
                if picture.format == "PNG":
                    picture.verify()
                else:
                    picture.draft("RGB", (1, 1))  # decodes a JPEG at an eighth of the size
                    picture.load()
    except (
        OSError,
        ValueError,
        SyntaxError,
        UnidentifiedImageError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:
        raise InputDamaged(attachment) from error
