"""Render the components of a message as HTML, in the layout of Discord's client."""

import re
from collections.abc import Callable, Mapping
from html import escape
from typing import Final
from urllib.parse import urlsplit

from bot.sandbox.discord import components as tree
from bot.sandbox.discord.request_body import Json
from bot.sandbox.page.markdown import Names, render

STYLES: Final = {1: "primary", 2: "secondary", 3: "success", 4: "danger", 5: "link", 6: "premium"}
STORED: Final = re.compile(r"/(?:ephemeral-)?attachments/\d+/(\d+)/[^/]+")
SIZES: Final = ((1024 * 1024, "MB"), (1024, "KB"), (1, "bytes"))


class Components:
    """Renderer of components; `files` maps an attachment's id to a path beside the page."""

    def __init__(self, names: Names, files: Mapping[str, str]) -> None:
        self._names = names
        self._files = files
        self._kinds: dict[int, Callable[[Json], str]] = {
            tree.ROW: self._row,
            tree.BUTTON: self._button,
            tree.SECTION: self._section,
            tree.TEXT: self._text,
            tree.THUMBNAIL: self._thumbnail,
            tree.GALLERY: lambda component: self.gallery(component["items"]),
            tree.FILE: self._file,
            tree.SEPARATOR: self._separator,
            tree.CONTAINER: self._container,
            **dict.fromkeys(tree.SELECTS, self.select),
        }

    def render(self, components: list[Json]) -> str:
        return "".join(self._kinds[component["type"]](component) for component in components)

    def gallery(self, items: list[Json]) -> str:
        """Render pictures in Discord's grid, which depends on their number."""
        inner = "".join(f"<figure{_spoiler(item)}>{self._picture(item)}</figure>" for item in items)
        return f'<div class="gallery of{len(items)}">{inner}</div>'

    def _picture(self, item: Json) -> str:
        media = item["media"]
        alt = escape(item.get("description") or "")
        path = self._path(media)
        if path is None:  # a remote address: the page loads nothing remote
            address = escape(media["url"])
            return f'<a class="elsewhere" href="{address}" rel="noreferrer">{alt or address}</a>'
        size = f'width="{media["width"]}" height="{media["height"]}"' if media.get("width") else ""
        return f'<img src="{escape(path)}" alt="{alt}" title="{alt}" {size}>'

    def _path(self, media: Json) -> str | None:
        """Return the saved file of a picture, which may be an address of the stand-in's CDN."""
        stored = STORED.fullmatch(urlsplit(media["url"]).path)
        number = media.get("attachment_id") or (stored[1] if stored else "")
        return self._files.get(number)

    def _container(self, component: Json) -> str:
        colour = component["accent_color"]
        bar = "" if colour is None else f' style="border-left:4px solid #{colour:06x}"'
        inner = self.render(component["components"])
        return f'<div class="container"{bar}><div{_spoiler(component)}>{inner}</div></div>'

    def _text(self, component: Json) -> str:
        return f'<div class="text">{render(component["content"], self._names)}</div>'

    def _section(self, component: Json) -> str:
        texts = self.render(component["components"])
        return (
            f'<div class="section"><div>{texts}</div>{self.render([component["accessory"]])}</div>'
        )

    def _thumbnail(self, component: Json) -> str:
        picture = f"<div{_spoiler(component)}>{self._picture(component)}</div>"
        return f'<div class="thumbnail">{picture}</div>'

    def _separator(self, component: Json) -> str:
        line = " line" if component["divider"] else ""
        return f'<div class="separator s{component["spacing"]}{line}"></div>'

    def _file(self, component: Json) -> str:
        path = self._files.get(component["file"].get("attachment_id", ""), "")
        name, size = escape(component["name"]), _size(component["size"])
        return (
            f'<div class="file"><span class="sheet"></span><div><a href="{escape(path)}">{name}</a>'
            f"<small>{size}</small></div></div>"
        )

    def _row(self, component: Json) -> str:
        return f'<div class="row">{self.render(component["components"])}</div>'

    def _button(self, component: Json) -> str:
        label = escape(component.get("label") or "")
        if "emoji" in component:
            label = f"<i>{escape(_emoji(component['emoji']))}</i>{label}"
        kind = STYLES[component["style"]]
        off = " disabled" if component["disabled"] else ""
        if "url" in component and not off:
            address = escape(component["url"])
            return f'<a class="button {kind}" href="{address}" rel="noreferrer">{label}</a>'
        return f'<button type="button" class="button {kind}"{off}>{label}</button>'

    def select(self, component: Json) -> str:
        """Render a select, closed; a click opens the list of options."""
        options = component.get("options", [])
        chosen = [option["label"] for option in options if option.get("default")]
        chosen += [self._named(each) for each in component.get("default_values", [])]
        if chosen:
            shown = f"<b>{escape(', '.join(chosen))}</b>"
        else:
            shown = escape(component.get("placeholder") or "Make a selection")
        off = " off" if component["disabled"] else ""
        rows = "".join(_option(option) for option in options)
        return f'<details class="select{off}"><summary>{shown}</summary>{rows}</details>'

    def _named(self, chosen: Json) -> str:
        tables = {"role": self._names.roles, "channel": self._names.channels}
        name = tables.get(chosen["type"], self._names.users).get(int(chosen["id"]), "unknown")
        return f"{'#' if chosen['type'] == 'channel' else '@'}{name}"


def _spoiler(component: Json) -> str:
    return ' class="hidden-until-hover"' if component.get("spoiler") else ""


def _option(option: Json) -> str:
    emoji = f"{escape(_emoji(option['emoji']))} " if "emoji" in option else ""
    note = option.get("description")
    small = f"<small>{escape(note)}</small>" if note else ""
    on = " on" if option.get("default") else ""
    return f'<div class="option{on}">{emoji}{escape(option["label"])}{small}</div>'


def _emoji(emoji: Json) -> str:
    """Return an emoji; a custom one by name, since the page has no picture of it."""
    return f":{emoji['name']}:" if "id" in emoji else str(emoji["name"])


def _size(size: int) -> str:
    unit, name = next((each for each in SIZES if size >= each[0]), SIZES[-1])
    return f"{size} {name}" if unit == 1 else f"{size / unit:.2f} {name}"
