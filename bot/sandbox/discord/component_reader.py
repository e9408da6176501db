"""Read the component tree of a message: check every rule, and fill in defaults as Discord does."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from bot.sandbox.discord.components import (
    AT_TOP,
    BUTTON,
    COMPONENTS,
    CONTAINER,
    FILE,
    GALLERY,
    IN_CONTAINER,
    IN_ROW,
    LINK,
    MISSING_FILE,
    PREMIUM,
    ROW,
    SECTION,
    SELECTS,
    SEPARATOR,
    TEXT,
    TEXT_TOTAL,
    THUMBNAIL,
    Media,
)
from bot.sandbox.discord.emoji import read_emoji
from bot.sandbox.discord.request_body import Form, Json, Problems
from bot.sandbox.discord.selects import read_select
from bot.sandbox.discord.uploads import Attachment


@dataclass
class Reader:
    """Read the components of one message or modal; `files` are uploads that may be referred to by
    name, `emoji` the ids of custom emoji."""

    problems: Problems
    files: Mapping[str, Attachment]
    next_id: Callable[[], int]
    emoji: Collection[int] = ()
    count: int = 0
    characters: int = 0
    custom_ids: set[str] = field(default_factory=set)
    ids: set[int] = field(default_factory=set)
    without_id: list[Json] = field(default_factory=list)

    def message(self, body: Form, *, v2: bool) -> list[Json]:
        """Return the tree under `components`: any with the V2 flag, else action rows only."""
        if v2:
            found = self.read_all(body.forms("components", COMPONENTS), AT_TOP)
        else:
            found = self.read_all(body.forms("components", 5), frozenset({ROW}))
        if self.count > COMPONENTS:
            body.wrong(
                "components",
                "COMPONENT_MAX_TOTAL_COMPONENTS_EXCEEDED",
                f"The maximum number of components in a message is {COMPONENTS}",
            )
        if self.characters > TEXT_TOTAL:
            body.wrong(
                "components",
                "COMPONENT_DISPLAYABLE_TEXT_SIZE_EXCEEDED",
                f"The total displayable text of the components exceeds {TEXT_TOTAL}",
            )
        self.number()
        return found

    def number(self) -> None:
        """Assign an id to every component without one."""
        free = 1
        for component in self.without_id:
            while free in self.ids:
                free += 1
            self.ids.add(free)
            component["id"] = free

    def read_all(self, forms: list[Form], allowed: frozenset[int]) -> list[Json]:
        return [read for form in forms if (read := self.read(form, allowed)) is not None]

    def read(self, form: Form, allowed: frozenset[int]) -> Json | None:
        kind = form.choice("type", allowed, required=True)
        if kind is None:
            return None
        self.count += 1
        component: Json = {"type": kind, "id": 0}
        given = form.whole("id", 0, (1 << 31) - 1)
        if not given:
            self.without_id.append(component)
        elif given in self.ids:
            form.wrong("id", "COMPONENT_ID_DUPLICATED", "Component id cannot be duplicated")
        else:
            self.ids.add(given)
            component["id"] = given
        component |= self._kinds()[kind](form, kind)
        return component

    def _kinds(self) -> dict[int, Callable[[Form, int], Json]]:
        return {
            ROW: self._row,
            BUTTON: self._button,
            SECTION: self._section,
            TEXT: self._text,
            THUMBNAIL: self._thumbnail,
            GALLERY: self._gallery,
            FILE: self._file,
            SEPARATOR: self._separator,
            CONTAINER: self._container,
            **dict.fromkeys(SELECTS, self._select),
        }

    def custom_id(self, form: Form) -> str:
        custom_id = form.text("custom_id", 100, low=1, required=True) or ""
        if custom_id and custom_id in self.custom_ids:
            form.wrong(
                "custom_id",
                "COMPONENT_CUSTOM_ID_DUPLICATED",
                "Component custom id cannot be duplicated",
            )
        self.custom_ids.add(custom_id)
        return custom_id

    def _row(self, form: Form, _: int) -> Json:
        form.only({"type", "id", "components"})
        children = self.read_all(form.forms("components", 5, low=1, required=True), IN_ROW)
        if len(children) > 1 and any(child["type"] in SELECTS for child in children):
            form.wrong(
                "components",
                "COMPONENT_LAYOUT_WIDTH_EXCEEDED",
                "The width of a row is exceeded: a select fills it",
            )
        return {"components": children}

    def _button(self, form: Form, _: int) -> Json:
        form.only(
            {"type", "id", "style", "label", "emoji", "custom_id", "url", "sku_id", "disabled"}
        )
        style = form.choice("style", range(1, 7), required=True)
        button: Json = {"style": style, "disabled": form.flag("disabled") or False}
        if form.has("label") and (label := form.text("label", 80)):
            button["label"] = label
        if (emoji := form.form("emoji")) is not None:
            button["emoji"] = read_emoji(emoji, self.emoji)
        if style == PREMIUM:
            form.wrong("sku_id", "BASE_TYPE_CHOICES", "There is nothing for sale here")
        elif style == LINK:
            button["url"] = _link(form, 512)
            _none_of(form, "custom_id", "sku_id")
        elif style is not None:
            button["custom_id"] = self.custom_id(form)
            _none_of(form, "url", "sku_id")
        if not button.get("label") and "emoji" not in button and style != PREMIUM:
            form.wrong(
                None,
                "BUTTON_COMPONENT_INVALID_LABEL",
                "A button must have a label or an emoji",
            )
        return button

    def _select(self, form: Form, kind: int) -> Json:
        return read_select(form, kind, self.custom_id(form), self.emoji)

    def _section(self, form: Form, _: int) -> Json:
        form.only({"type", "id", "components", "accessory"})
        texts = self.read_all(form.forms("components", 3, low=1, required=True), frozenset({TEXT}))
        accessory = form.form("accessory", required=True)
        read = self.read(accessory, frozenset({BUTTON, THUMBNAIL})) if accessory else None
        return {"components": texts, "accessory": read or {}}

    def _text(self, form: Form, _: int) -> Json:
        form.only({"type", "id", "content"})
        content = form.text("content", TEXT_TOTAL, low=1, required=True) or ""
        self.characters += len(content)
        return {"content": content}

    def _thumbnail(self, form: Form, _: int) -> Json:
        form.only({"type", "id", "media", "description", "spoiler"})
        return self._described(form)

    def _gallery(self, form: Form, _: int) -> Json:
        form.only({"type", "id", "items"})
        items = form.forms("items", 10, low=1, required=True)
        for item in items:
            item.only({"media", "description", "spoiler"})
        return {"items": [self._described(item) for item in items]}

    def _described(self, form: Form) -> Json:
        return {
            "media": self._media(form, "media"),
            "description": form.text("description", 1024, low=1),
            "spoiler": form.flag("spoiler") or False,
        }

    def _file(self, form: Form, _: int) -> Json:
        form.only({"type", "id", "file", "spoiler", "name", "size"})
        media = self._media(form, "file", only_attachment=True)
        file = media.attachment if media else None
        return {
            "file": media,
            "name": file.filename if file else None,
            "size": len(file.data) if file else None,
            "spoiler": form.flag("spoiler") or False,
        }

    def _separator(self, form: Form, _: int) -> Json:
        form.only({"type", "id", "divider", "spacing"})
        divider = form.flag("divider")
        return {
            "divider": True if divider is None else divider,
            "spacing": form.choice("spacing", (1, 2)) or 1,
        }

    def _container(self, form: Form, _: int) -> Json:
        form.only({"type", "id", "components", "accent_color", "spoiler"})
        return {
            "accent_color": form.whole("accent_color", 0, 0xFFFFFF),
            "spoiler": form.flag("spoiler") or False,
            "components": self.read_all(
                form.forms("components", COMPONENTS, low=1, required=True), IN_CONTAINER
            ),
        }

    def _media(self, form: Form, name: str, *, only_attachment: bool = False) -> Media | None:
        item = form.form(name, required=True)
        url = item.text("url", 2048, low=1, required=True) if item else None
        if item is None or url is None:
            return None
        if url.startswith("attachment://"):
            file = self.files.get(url.removeprefix("attachment://"))
            if file is None:
                item.wrong("url", MISSING_FILE, f"Could not find an attachment for {url}")
            return Media(self.next_id(), attachment=file)
        if only_attachment or not url.startswith(("http://", "https://")):
            schemes = "attachment" if only_attachment else "http, https, attachment"
            item.wrong("url", "URL_TYPE_INVALID_SCHEME", f"Scheme must be one of ({schemes}).")
        return Media(self.next_id(), url=url)


def _link(form: Form, limit: int) -> str:
    url = form.text("url", limit, low=1, required=True) or ""
    if url and not url.startswith(("http://", "https://", "discord://")):
        form.wrong(
            "url", "URL_TYPE_INVALID_SCHEME", "Scheme must be one of (discord, http, https)."
        )
    return url


def _none_of(form: Form, *names: str) -> None:
    for name in names:
        if form.has(name):
            form.wrong(name, "BUTTON_COMPONENT_CONFLICT", "This style of button cannot have it.")
