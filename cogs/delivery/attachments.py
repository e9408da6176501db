"""Attachments and other pictures of Discord messages, as input pictures."""

from collections.abc import Iterable, Iterator

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
    found = [*_files(message.attachments), *_galleries(message.components)]
    for forwarded in message.message_snapshots:
        found += [*_files(forwarded.attachments), *_galleries(forwarded.components)]
    for embed in message.embeds:
        for preview in (embed.image, embed.thumbnail):
            if preview and preview.proxy_url:  # Discord's own copy
                found.append(_media(preview.proxy_url, preview.width, preview.height))
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
                yield _media(item.media.url, item.media.width, item.media.height)
        elif isinstance(component, discord.ThumbnailComponent):
            yield _media(component.media.url, component.media.width, component.media.height)
        elif isinstance(component, discord.Container | discord.SectionComponent):
            yield from _galleries(component.children)
            if isinstance(component, discord.SectionComponent):
                yield from _galleries([component.accessory])


def _media(url: str, width: int | None, height: int | None) -> Attachment:
    return Attachment(name=URL(url).name or "picture", url=url, width=width, height=height)
