"""Selects and other lists of options, in messages and in modals."""

from collections.abc import Collection
from typing import Final

from bot.sandbox.discord.components import (
    CHANNEL_SELECT,
    MENTIONABLE_SELECT,
    ROLE_SELECT,
    STRING_SELECT,
    USER_SELECT,
)
from bot.sandbox.discord.emoji import read_emoji
from bot.sandbox.discord.request_body import Form, Json

DEFAULTS: Final = {
    USER_SELECT: ("user",),
    ROLE_SELECT: ("role",),
    MENTIONABLE_SELECT: ("user", "role"),
    CHANNEL_SELECT: ("channel",),
}


def read_options(
    form: Form, high: int, *, low: int = 1, emoji: Collection[int] | None = None
) -> list[Json]:
    """Read the options of a select, or of a radio or checkbox group, which show no emoji."""
    keys = {"label", "value", "description", "default"}
    keys |= set() if emoji is None else {"emoji"}
    found: list[Json] = []
    seen: set[str] = set()
    for option in form.forms("options", high, low=low, required=True):
        option.only(keys)
        value = option.text("value", 100, low=1, required=True) or ""
        if value in seen:
            option.wrong("value", "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED", "Value is taken")
        seen.add(value)
        read: Json = {
            "label": option.text("label", 100, low=1, required=True),
            "value": value,
            "description": option.text("description", 100),
            "default": option.flag("default"),
        }
        given = option.form("emoji")
        if given is not None and emoji is not None:
            read["emoji"] = read_emoji(given, emoji)
        found.append({name: item for name, item in read.items() if item is not None})
    return found


def read_select(form: Form, kind: int, custom_id: str, emoji: Collection[int]) -> Json:
    """Read a select of any kind, in a message or in a modal."""
    keys = {"type", "id", "custom_id", "placeholder", "min_values", "max_values", "disabled"}
    special = "options" if kind == STRING_SELECT else "default_values"
    extra = {"channel_types"} if kind == CHANNEL_SELECT else set()
    form.only(keys | {special, "required"} | extra)
    low, high = read_range(form, 25)
    select: Json = {
        "custom_id": custom_id,
        "min_values": low,
        "max_values": high,
        "disabled": form.flag("disabled") or False,
    }
    if form.has("placeholder"):
        select["placeholder"] = form.text("placeholder", 150)
    if form.has("required"):
        select["required"] = form.flag("required")
    if kind == STRING_SELECT:
        select["options"] = read_options(form, 25, emoji=emoji)
        if high > len(select["options"]):
            form.wrong("max_values", "NUMBER_TYPE_MAX", "There are fewer options than that.")
        if sum(bool(option.get("default")) for option in select["options"]) > high:
            form.wrong("options", "SELECT_COMPONENT_TOO_MANY_DEFAULT_VALUES", "Too many defaults")
    elif form.has("default_values"):
        select["default_values"] = _default_values(form, kind, high)
    if kind == CHANNEL_SELECT and form.has("channel_types"):
        select["channel_types"] = form.items("channel_types", 20)
    return select


def _default_values(form: Form, kind: int, high: int) -> list[Json]:
    """Read the preselected users, roles and channels of a select."""
    found: list[Json] = []
    for item in form.forms("default_values", 25):
        item.only({"id", "type"})
        number = item.snowflake("id", required=True)
        if item.data.get("type") not in DEFAULTS[kind]:
            item.wrong("type", "BASE_TYPE_CHOICES", f"Value must be one of {DEFAULTS[kind]}.")
        found.append({"id": str(number), "type": item.data.get("type")})
    if len(found) > high:
        form.wrong(
            "default_values", "SELECT_COMPONENT_TOO_MANY_DEFAULT_VALUES", "Too many defaults"
        )
    return found


def read_range(form: Form, limit: int) -> tuple[int, int]:
    """Read `min_values` and `max_values`, and check their order."""
    low = form.whole("min_values", 0, limit)
    high = form.whole("max_values", 1, limit)
    low, high = 1 if low is None else low, 1 if high is None else high
    if low > high:
        form.wrong("min_values", "NUMBER_TYPE_MAX", "min_values must not be over max_values.")
    return low, high
