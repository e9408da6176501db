"""Embeds of a message, checked against the documented limits."""

from collections.abc import Mapping
from typing import Any, Final

from bot.sandbox.discord.components import MISSING_FILE
from bot.sandbox.discord.request_body import Form, Json
from bot.sandbox.discord.uploads import Attachment

TOTAL: Final = 6000  # characters over all embeds of a message
TEXTS: Final = {"title": 256, "description": 4096}
KEYS: Final = frozenset(
    {"type", "url", "color", "timestamp", "footer", "image", "thumbnail", "author", "fields"}
    | {"video", "provider", "flags"}
    | set(TEXTS)
)
FIELD_KEYS: Final = frozenset({"name", "value", "inline"})
PICTURE_KEYS: Final = frozenset({"url", "proxy_url", "width", "height", "flags"})


class Embeds:
    """Reader of embeds. `shown` holds an `Attachment` for each picture that refers to an upload."""

    def __init__(self, files: Mapping[str, Attachment]) -> None:
        self.files = files
        self.shown: list[Json] = []
        self._length = 0

    def read(self, body: Form) -> list[Json]:
        for form in body.forms("embeds", 10):
            self.shown.append(self._embed(form))
        if self._length > TOTAL:
            body.wrong("embeds", "MAX_EMBED_SIZE_EXCEEDED", f"Embed size exceeds {TOTAL}")
        return self.shown

    def _embed(self, form: Form) -> Json:
        form.only(KEYS)
        embed: Json = {"type": "rich"}
        for name, limit in TEXTS.items():
            self._text(form, name, limit, embed)
        if form.has("url"):
            embed["url"] = form.text("url", 2048)
        if form.has("color"):
            embed["color"] = form.whole("color", 0, 0xFFFFFF)
        if form.has("timestamp"):
            embed["timestamp"] = form.text("timestamp", 40)
        for name, inner, limit in (("footer", "text", 2048), ("author", "name", 256)):
            part = form.form(name)
            if part is not None:
                part.only({inner, "icon_url", "proxy_icon_url", "url"})
                embed[name] = {key: part.data[key] for key in ("url", "icon_url") if part.has(key)}
                self._text(part, inner, limit, embed[name], required=True)
        for name in ("image", "thumbnail"):
            picture = form.form(name)
            if picture is not None:
                embed[name] = {"url": self._picture(picture)}
        embed["fields"] = [self._field(field) for field in form.forms("fields", 25)]
        return embed

    def _text(
        self, form: Form, name: str, limit: int, into: Json, *, required: bool = False
    ) -> None:
        text = form.text(name, limit, low=int(required), required=required)
        if text:
            into[name] = text
            self._length += len(text)

    def _field(self, form: Form) -> Json:
        form.only(FIELD_KEYS)
        field: Json = {"inline": form.flag("inline") or False}
        self._text(form, "name", 256, field, required=True)
        self._text(form, "value", 1024, field, required=True)
        return field

    def _picture(self, form: Form) -> Any:  # noqa: ANN401 - an address or an Attachment
        form.only(PICTURE_KEYS)
        url = form.text("url", 2048, low=1, required=True) or ""
        if url.startswith("attachment://"):
            file = self.files.get(url.removeprefix("attachment://"))
            if file is None:
                form.wrong("url", MISSING_FILE, f"Could not find an attachment for {url}")
            return file
        if url and not url.startswith(("http://", "https://")):
            form.wrong("url", "URL_TYPE_INVALID_SCHEME", "Scheme must be one of (http, https).")
        return url
