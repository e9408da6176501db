"""Input pictures: checked before a request is accepted, and stored before they are used."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from bot.errors import ProviderError, Reason, UserError
from bot.jobs import Attachment, Picture, PictureKind
from bot.pictures.decoder import Decoder, NotDecoded, Undecodable
from bot.pictures.download import Downloader
from bot.pictures.header import (
    MAX_PASSES,
    MAX_PIXELS,
    NotAPicture,
    foreign_kind,
    has_too_many_passes,
    measure,
    sniff,
)
from bot.pictures.retention import Retention
from bot.pictures.store import PictureStore, Staged, name_of
from bot.pictures.turns import FairLimit

log = logging.getLogger(__name__)

MIB = 1024 * 1024
MAX_BYTES = 10 * MIB
# The member waits for this check, and Discord accepts a reply within 3 s.
CHECK_TIMEOUT = 1.2  # seconds
PLACES = 4  # pictures that are downloaded and checked at once, each of another member


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


class InputOfForeignKind(InputRefused):
    def __init__(self, attachment: Attachment, kind: str) -> None:
        super().__init__(
            attachment,
            "`{name}` is a picture of the kind {kind}. Save it as PNG or JPEG, and attach that "
            "file.",
            kind=kind,
        )


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
            size=max(round(size / MIB), MAX_BYTES // MIB + 1),  # never that of the limit
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


class InputOfTooManyPasses(InputRefused):
    def __init__(self, attachment: Attachment) -> None:
        super().__init__(
            attachment,
            "`{name}` is encoded in more than {limit} scans or frames. Save the picture as PNG, "
            "and attach that file.",
            limit=MAX_PASSES,
        )


class InputNoSpace(InputRefused):
    def __init__(self, attachment: Attachment) -> None:
        super().__init__(
            attachment,
            "`{name}` cannot be stored, because the bot has no space left for pictures. Try again "
            "later, or tell the bot's operator.",
        )


class InputRemoved(InputRefused):
    def __init__(self, attachment: Attachment) -> None:
        super().__init__(
            attachment, "`{name}` is no longer stored by the bot. Attach a copy of the picture."
        )


class InputElsewhere(InputRefused):
    def __init__(self, attachment: Attachment) -> None:
        super().__init__(
            attachment, "`{name}` is not stored at Discord. Save the picture, and attach the file."
        )


class InputPictures:
    """Input pictures of jobs, a few at a time: at most one of each member, in turns."""

    def __init__(
        self,
        downloader: Downloader,
        store: PictureStore,
        decoder: Decoder,
        retention: Retention,
    ) -> None:
        self.media = downloader.media  # the addresses from which inputs may come
        self._downloader = downloader
        self._store = store
        self._decoder = decoder
        self._retention = retention
        self._places = FairLimit(PLACES, each=1)

    async def check(self, attachments: Sequence[Attachment]) -> None:
        """Raise InputRefused for the first picture whose description or first bytes are wrong.

        An attachment whose first bytes do not arrive in time is checked by `Intake.download` only.
        Pictures that are stored already were checked then.
        """
        new = [each for each in attachments if each.sha256 is None]
        for each in new:
            self._check_address(each)
            _check_description(each)
        if new and await self._retention.disk_is_full():
            raise InputNoSpace(new[0])
        await asyncio.gather(*(self._check_head(each) for each in new))

    @asynccontextmanager
    async def place(self, member: int) -> AsyncIterator["Intake"]:
        """Wait for the member's turn, then yield the intake of one job's pictures.

        No picture waits in memory. Pictures that no job has at the end of the block are removed.
        Raises NotDecoded if the program is about to end.
        """
        async with self._places.take(member):
            if self._decoder.stopped:
                raise NotDecoded("stopped")
            async with self._retention.holding() as hold:
                yield Intake(self, member, hold)

    async def reuse(
        self, attachment: Attachment, picture: Picture | None, hold: Callable[[Picture], None]
    ) -> Picture:
        """See Intake."""
        if picture is None:
            raise InputRemoved(attachment)
        hold(picture)
        if await self._store.find(name_of(picture)) is None:
            raise InputRemoved(attachment)
        return picture

    async def download(
        self, attachment: Attachment, member: int, hold: Callable[[Picture], None]
    ) -> Picture:
        """See Intake."""
        async with AsyncExitStack() as room:
            staged = await self._stage(attachment, member, room)
            try:
                await self._decoder.check(staged.path, staged.picture, member=member)
                hold(staged.picture)
                return await self._store.keep(staged)
            except Undecodable as error:
                log.info("input refused: %s", error)
                raise InputDamaged(attachment) from error
            finally:
                self._store.discard(staged)

    async def _stage(self, attachment: Attachment, member: int, room: AsyncExitStack) -> Staged:
        """Download a picture, check everything that needs no decoding, and drop the bytes.

        The space on the disk is reserved until `room` ends.
        """
        self._check_address(attachment)
        try:
            async with self._downloader.fetched(
                attachment.url, _no_headers, limit=MAX_BYTES, member=member
            ) as data:
                await asyncio.to_thread(_check_bytes, attachment, data)
                fits = await room.enter_async_context(self._retention.room(len(data)))
                if not fits or await self._retention.disk_is_full():
                    log.warning("no space for an input picture: KEEP_GB or the disk is used up")
                    raise InputNoSpace(attachment)
                return await self._store.stage(data)
        except ProviderError as error:
            if error.reason is Reason.NOT_FOUND:
                raise InputGone(attachment) from error
            if error.reason is Reason.MALFORMED:
                raise InputUnreadable(attachment) from error
            raise

    def _check_address(self, attachment: Attachment) -> None:
        if attachment.url not in self.media:
            raise InputElsewhere(attachment)

    async def _check_head(self, attachment: Attachment) -> None:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT):
                head = await self._downloader.fetch_head(attachment.url, 64)
        except (TimeoutError, ProviderError):
            return
        _check_kind(attachment, head)


class Intake:
    """The storing of one job's pictures, during the turn of the requester."""

    def __init__(self, inputs: InputPictures, member: int, hold: Callable[[Picture], None]) -> None:
        self._inputs = inputs
        self._member = member
        self._hold = hold

    async def download(self, attachment: Attachment) -> Picture:
        """Store one picture.

        Raises InputRefused if no model accepts the picture or the file is gone, ProviderError if
        the download failed and may be retried, NotDecoded if the check may be repeated.
        """
        return await self._inputs.download(attachment, self._member, self._hold)

    async def reuse(self, attachment: Attachment, picture: Picture | None) -> Picture:
        """Protect a picture that is stored already from removal; InputRemoved if it is gone."""
        return await self._inputs.reuse(attachment, picture, self._hold)


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
    if kind is None and (foreign := foreign_kind(data)):
        raise InputOfForeignKind(attachment, foreign)
    if kind is None:
        raise InputNotAPicture(attachment)


def _check_pixels(attachment: Attachment, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise InputOfTooManyPixels(attachment, width, height)


def _check_bytes(attachment: Attachment, data: bytes) -> None:
    """Check everything that needs no decoding."""
    _check_kind(attachment, data)
    try:
        _check_pixels(attachment, *measure(data))
    except NotAPicture as error:
        raise InputDamaged(attachment) from error
    if has_too_many_passes(data):
        raise InputOfTooManyPasses(attachment)
