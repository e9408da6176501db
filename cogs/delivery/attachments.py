"""Attachments and other pictures of Discord messages, as input pictures."""

from collections.abc import Iterable, Iterator
from typing import Protocol

import discord
from yarl import URL

from bot.jobs import Attachment


def attachment_of(attachment: discord.Attachment) -> Attachment:
    return Attachment(
        name=attachment.filename,
        url=attachment.url,
        size=attachment.size,
        width=attachment.width,
        height=attachment.height,
    )


def pictures_in(message: discord.Message) -> list[Attachment]:
    """Return the possible pictures of a message: files, galleries, previews, and those of messages
    that it forwards. Their bytes are checked later."""
    messages: list[discord.Message | discord.MessageSnapshot]
    messages = [message, *message.message_snapshots]
    found: list[Attachment] = []
    for each in messages:
        found += [*_files(each.attachments), *_galleries(each.components)]
    for each in messages:
        for embed in each.embeds:
            found += [*_copy(embed.image), *_copy(embed.thumbnail)]
    return list({URL(each.url).path: each for each in found}.values())


def _files(attachments: Iterable[discord.Attachment]) -> Iterator[Attachment]:
    for each in attachments:
        if (each.content_type or "image/").startswith("image/"):
            yield attachment_of(each)


def _galleries(components: Iterable[object]) -> Iterator[Attachment]:
    """Yield the pictures in components, which Discord lists nowhere else."""
    for component in components:
        if isinstance(component, discord.MediaGalleryComponent):
            for item in component.items:
                yield from _copy(item.media)
        elif isinstance(component, discord.ThumbnailComponent):
            yield from _copy(component.media)
        elif isinstance(component, discord.Container | discord.SectionComponent):
            yield from _galleries(component.children)
            if isinstance(component, discord.SectionComponent):
                yield from _galleries([component.accessory])


class Media(Protocol):
    """A picture in a component or in a preview."""

    @property
    def proxy_url(self) -> str | None: ...
    @property
    def width(self) -> int | None: ...
    @property
    def height(self) -> int | None: ...


def _copy(media: Media) -> Iterator[Attachment]:
    """Yield Discord's own copy: the address of the original is whatever its sender has written."""
    if url := media.proxy_url:
        name = URL(url).name or "picture"
        yield Attachment(name=name, url=url, width=media.width, height=media.height)
