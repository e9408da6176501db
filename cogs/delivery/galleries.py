"""Edits of the pictures in a message that Discord has: their files stay, nothing is uploaded.

The components are dictionaries as Discord sends them, so that every other part of the message,
whichever version of Easel has made it, stays as it is.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import discord
from yarl import URL

Component = Mapping[str, Any]
Address = Callable[[Component], str]  # of the media of an item

GALLERY: Final = 12  # the type of a component
FLAGS: Final = discord.MessageFlags(components_v2=True).value


def has_pictures(components: Sequence[Component]) -> bool:
    return any(_items(components))


def edit_by_names(components: Sequence[Component], *, spoiler: bool) -> dict[str, Any]:
    """Return the edit that names each picture by the id and the name of its file.

    Without the list of files, Discord refuses a name (discord.md, The stand-in). Where an id is
    missing, the edit is that by addresses.
    """
    media = [item["media"] for item in _items(components)]
    if not all(each.get("attachment_id") for each in media):
        return edit_by_addresses(components, spoiler=spoiler)
    files = [{"id": each["attachment_id"], "filename": _file_name(each)} for each in media]
    edit = _edit(components, lambda each: f"attachment://{_file_name(each)}", spoiler=spoiler)
    return {**edit, "attachments": files}


def edit_by_addresses(components: Sequence[Component], *, spoiler: bool) -> dict[str, Any]:
    """Return the edit that names each picture by the address that Discord has given."""
    return _edit(components, lambda media: str(media["url"]), spoiler=spoiler)


def _edit(components: Sequence[Component], address: Address, *, spoiler: bool) -> dict[str, Any]:
    return {
        "components": [_edited(each, address, spoiler=spoiler) for each in components],
        "flags": FLAGS,
        "allowed_mentions": {"parse": []},
    }


def _edited(component: Component, address: Address, *, spoiler: bool) -> dict[str, Any]:
    """Return a component as a request may hold it: without nulls and what Discord adds to media."""
    edited = {name: value for name, value in component.items() if value is not None}
    if component.get("type") == GALLERY:
        edited["items"] = [_edited_item(each, address, spoiler=spoiler) for each in edited["items"]]
    elif "components" in edited:
        edited["components"] = [
            _edited(each, address, spoiler=spoiler) for each in edited["components"]
        ]
    return edited


def _edited_item(item: Component, address: Address, *, spoiler: bool) -> dict[str, Any]:
    described = {"description": item["description"]} if item.get("description") else {}
    return {"media": {"url": address(item["media"])}, "spoiler": spoiler, **described}


def _items(components: Sequence[Component]) -> Iterator[Component]:
    """Yield the items of every gallery."""
    for each in components:
        if each.get("type") == GALLERY:
            yield from each.get("items", ())
        else:
            yield from _items(each.get("components", ()))


def _file_name(media: Component) -> str:
    return URL(str(media["url"])).name
