"""The kinds of components, and the component trees of messages and modals."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from bot.sandbox.discord.request_body import Json
from bot.sandbox.discord.uploads import Attachment, Cdn

ROW, BUTTON, STRING_SELECT, TEXT_INPUT = 1, 2, 3, 4
USER_SELECT, ROLE_SELECT, MENTIONABLE_SELECT, CHANNEL_SELECT = 5, 6, 7, 8
SECTION, TEXT, THUMBNAIL, GALLERY, FILE, SEPARATOR, CONTAINER = 9, 10, 11, 12, 13, 14, 17
LINK, PREMIUM = 5, 6

SELECTS: Final = frozenset(
    {STRING_SELECT, USER_SELECT, ROLE_SELECT, MENTIONABLE_SELECT, CHANNEL_SELECT}
)
IN_ROW: Final = SELECTS | {BUTTON}
IN_CONTAINER: Final = frozenset({ROW, SECTION, TEXT, GALLERY, FILE, SEPARATOR})
AT_TOP: Final = IN_CONTAINER | {CONTAINER}
COMPONENTS: Final = 40  # in a message, counting nested ones
TEXT_TOTAL: Final = 4000  # over all TextDisplays
MISSING_FILE: Final = "UNFURLED_MEDIA_ITEM_REFERENCED_ATTACHMENT_NOT_FOUND"


@dataclass(eq=False)
class Media:
    """A picture or file in a component: an attachment of the message, or an address.

    The address of a stored attachment is signed anew whenever the message is shown.
    """

    id: int
    attachment: Attachment | None = None
    url: str = ""

    def to_json(self, cdn: Cdn) -> Json:
        file = self.attachment or cdn.stored(self.url)
        url = cdn.address(file) if file else self.url
        copy = url if file else cdn.proxy(url)
        shown: Json = {"id": str(self.id), "url": url, "proxy_url": copy, "flags": 0}
        if file:
            shown |= {
                "width": file.width,
                "height": file.height,
                "content_type": file.content_type,
            }
        if self.attachment:
            shown["attachment_id"] = str(self.attachment.id)
        return shown


def walk(components: list[Json]) -> Iterator[Json]:
    """Yield every component with all children, in display order."""
    for component in components:
        yield component
        yield from walk(component.get("components", []))
        for name in ("accessory", "component"):
            if name in component:
                yield from walk([component[name]])


def shown(value: Any, cdn: Cdn) -> Any:  # noqa: ANN401 - any JSON
    """Return the tree as in the API's responses: media with freshly signed addresses."""
    if isinstance(value, Media):
        return value.to_json(cdn)
    if isinstance(value, dict):
        return {name: shown(item, cdn) for name, item in value.items()}
    if isinstance(value, list):
        return [shown(item, cdn) for item in value]
    return value


def media_of(components: list[Json]) -> list[Media]:
    """Return the media of galleries, thumbnails and file components, in order."""
    found = []
    for component in walk(components):
        items = [item["media"] for item in component.get("items", [])]
        found += [*items, *(component[name] for name in ("media", "file") if name in component)]
    return found
