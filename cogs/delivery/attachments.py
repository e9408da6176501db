"""Attachments and other pictures of Discord messages, as input pictures."""

from collections.abc import Iterable, Iterator
from typing import Protocol

import discord
from yarl import URL

from bot.delivery import InputsGone
from bot.jobs import Attachment, Job
from cogs.delivery.errors import is_from_discord, raising_not_delivered
from cogs.delivery.timeouts import QUERY_TIMEOUT, within


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


async def read_addresses(client: discord.Client, job: Job) -> list[str]:
    """Return fresh addresses of a job's inputs, from the messages that have the pictures.

    They are those of a reply and of the result that was replied to. A picture that the result shows
    as a reduced copy has the address of that copy, whose name may have another suffix. Raises
    NotDelivered, or InputsGone if a message was deleted.
    """
    channel = client.get_partial_messageable(job.route.channel_id)
    fresh: dict[str, str] = {}
    with raising_not_delivered(unreadable=True):
        for message_id in (job.route.reply_to_id, job.origin_id):
            try:
                async with within(client, QUERY_TIMEOUT):
                    message = await channel.fetch_message(message_id or 0)
            except discord.NotFound as error:
                if is_from_discord(error):
                    raise InputsGone("a message with an input picture was deleted") from error
                raise
            for each in pictures_in(message):
                # The result comes first: a member may give another picture the same name.
                fresh = {URL(each.url).path: each.url, _stem(each.name): each.url} | fresh
    found = [fresh.get(URL(each.url).path if each.url else _stem(each.name)) for each in job.inputs]
    if None in found:
        raise InputsGone("a picture is no longer in its message")
    return [each for each in found if each is not None]


def _stem(name: str) -> str:
    return name.rpartition(".")[0]
