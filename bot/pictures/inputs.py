"""Input pictures: judged before they are taken, and kept before they are sent to anybody."""

import asyncio
import io
import re
import warnings
from collections.abc import Mapping, Sequence

from PIL import Image, UnidentifiedImageError

from bot.errors import ProviderError, Reason, UserError
from bot.jobs import Attachment, Picture, PictureKind
from bot.pictures.download import Downloader
from bot.pictures.files import MAX_PIXELS, PictureStore
from bot.pictures.header import NotAPicture, measure, sniff

MAX_BYTES = 10 * 1024 * 1024
HEAD = 64  # bytes that tell a picture's kind
GLANCE_SECONDS = 1.2  # a member waits for it, and Discord gives three for the whole answer
KINDS = {PictureKind.PNG, PictureKind.JPEG, PictureKind.WEBP}
READABLE = "Attach a PNG, JPEG or WebP."


class InputRefused(UserError):
    """Names the file and the rule."""

    def __init__(self, attachment: Attachment, problem: str) -> None:
        name = re.sub(r"[^\w.\- ]", "", attachment.name)[:60] or "The picture"
        super().__init__(f"`{name}` {problem}")


class InputPictures:
    def __init__(self, downloader: Downloader, store: PictureStore) -> None:
        self._downloader = downloader
        self._store = store
        self._decoding = asyncio.Semaphore(1)  # a large one takes 160 MB while it is looked through

    async def glance(self, attachments: Sequence[Attachment]) -> None:
        """Refuse what can be seen to be wrong at once: InputRefused for the first that is.

        An attachment whose first bytes do not come in time is judged later, by `take`.
        """
        for each in attachments:
            _check_told(each)
        await asyncio.gather(*(self._check_head(each) for each in attachments))

    async def take(self, attachment: Attachment) -> Picture:
        """Fetch it and keep it.

        InputRefused where it is no picture that a model can take, or is gone; ProviderError where
        it cannot be had now.
        """
        try:
            data = await self._downloader.fetch(attachment.url, _no_headers, limit=MAX_BYTES)
        except ProviderError as error:
            if error.reason is Reason.NOT_FOUND:
                raise InputRefused(attachment, "is no longer there. Attach it again.") from error
            if error.reason is Reason.MALFORMED:
                raise InputRefused(attachment, f"cannot be read. {READABLE}") from error
            raise
        _check_kind(attachment, data)
        try:
            _check_pixels(attachment, *measure(data))
        except NotAPicture as error:
            raise InputRefused(attachment, f"is damaged. {READABLE}") from error
        async with self._decoding:
            await asyncio.to_thread(_check_whole, attachment, data)
        return await self._store.keep(data)

    async def _check_head(self, attachment: Attachment) -> None:
        try:
            async with asyncio.timeout(GLANCE_SECONDS):
                head = await self._downloader.fetch_head(attachment.url, HEAD)
        except (TimeoutError, ProviderError):
            return
        _check_kind(attachment, head)


def _no_headers(_: str) -> Mapping[str, str]:
    return {}


def _check_told(attachment: Attachment) -> None:
    """By what Discord says of it."""
    size = attachment.size
    if size == 0:
        raise InputRefused(attachment, f"is empty. {READABLE}")
    if size is not None and size > MAX_BYTES:
        mib = f"{size / 1024 / 1024:.0f} MiB"
        raise InputRefused(
            attachment, f"has {mib}, and a picture may have up to 10. Save it smaller."
        )
    if attachment.width and attachment.height:
        _check_pixels(attachment, attachment.width, attachment.height)


def _check_kind(attachment: Attachment, data: bytes) -> None:
    kind = sniff(data)
    if kind is PictureKind.GIF:
        raise InputRefused(attachment, "is a GIF. Save it as PNG, and attach that.")
    if kind not in KINDS:
        what = "is empty" if not data else "is not a picture"
        raise InputRefused(attachment, f"{what}. {READABLE}")


def _check_pixels(attachment: Attachment, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise InputRefused(
            attachment,
            f"has {width}x{height} pixels, and a picture may have {MAX_PIXELS // 1_000_000} "
            "million. Save it smaller.",
        )


def _check_whole(attachment: Attachment, data: bytes) -> None:
    """Look through the file to its end; a PNG by its check sums, the others by decoding them."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as picture:
                if picture.format == "PNG":
                    picture.verify()
                else:
                    picture.draft("RGB", (1, 1))  # a JPEG at an eighth of its size
                    picture.load()
    except (
        OSError,
        ValueError,
        SyntaxError,
        UnidentifiedImageError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:
        problem = "is damaged: it cannot be read to its end. Save it anew, and attach that."
        raise InputRefused(attachment, problem) from error
