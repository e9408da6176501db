"""Options of commands, choices of options, and names in all languages."""

import unicodedata
from typing import Final

from bot.sandbox.discord.request_body import Form, Json

SUBCOMMAND, GROUP, STRING, INTEGER, BOOLEAN, USER = 1, 2, 3, 4, 5, 6
CHANNEL, ROLE, MENTIONABLE, NUMBER, ATTACHMENT = 7, 8, 9, 10, 11

SAFE_INTEGER: Final = (1 << 53) - 1
LOCALES: Final = frozenset(
    {"ar", "bg", "cs", "da", "de", "el", "en-GB", "en-US", "es-419", "es-ES", "fi", "fr", "he"}
    | {"hi", "hr", "hu", "id", "it", "ja", "ko", "lt", "nl", "no", "pl", "pt-BR", "ro", "ru"}
    | {"sv-SE", "th", "tr", "uk", "vi", "zh-CN", "zh-TW"}
)
OPTION_KEYS: Final = frozenset(
    {"type", "name", "name_localizations", "description", "description_localizations"}
)
VALUE_KEYS: Final = frozenset({"required"})
CHOICE_KEYS: Final = frozenset({"choices", "autocomplete"})
KEYS_BY_TYPE: Final = {
    SUBCOMMAND: frozenset({"options", "required"}),
    GROUP: frozenset({"options", "required"}),
    STRING: VALUE_KEYS | CHOICE_KEYS | {"min_length", "max_length"},
    INTEGER: VALUE_KEYS | CHOICE_KEYS | {"min_value", "max_value"},
    NUMBER: VALUE_KEYS | CHOICE_KEYS | {"min_value", "max_value"},
    CHANNEL: VALUE_KEYS | {"channel_types"},
    **dict.fromkeys((BOOLEAN, USER, ROLE, MENTIONABLE, ATTACHMENT), VALUE_KEYS),
}


def read_name(form: Form, *, chat: bool) -> str:
    name = form.text("name", 32, low=1, required=True)
    if name and chat and not _plain(name):
        form.wrong(
            "name",
            "APPLICATION_COMMAND_INVALID_NAME",
            "Command name is invalid",
        )
    return name or ""


def _plain(name: str) -> bool:
    r"""Match Discord's `^[-_'\p{L}\p{N}\p{sc=Deva}\p{sc=Thai}]+$`, lower case where the script has
    one."""
    return name == name.lower() and all(
        letter in "-_'"
        or unicodedata.category(letter)[0] in "LN"
        or unicodedata.name(letter, "").startswith(("DEVANAGARI", "THAI"))
        for letter in name
    )


def read_locales(form: Form, name: str, high: int, *, chat: bool = False) -> Json | None:
    given = form.form(f"{name}_localizations")
    if given is None:
        return None
    given.only(LOCALES)
    for locale in given.data:
        text = given.text(locale, high, low=1, required=True)
        if text and chat and not _plain(text):
            given.wrong(locale, "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")
    return given.data


def read_options(form: Form, depth: int) -> list[Json]:
    """Read the options of a command (depth 0), of a group or of a subcommand."""
    found: list[Json] = []
    names: set[str] = set()
    optional_seen = False
    for option in form.forms("options", 25):
        read = _option(option, depth)
        if read is None:
            continue
        if read["name"] in names:
            option.wrong(
                "name", "APPLICATION_COMMAND_OPTIONS_NAME_DUPLICATE", "Option names must be unique"
            )
        names.add(read["name"])
        if read.get("required") and optional_seen:
            option.wrong(
                "required",
                "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID",
                "Required options must be placed before non-required options",
            )
        optional_seen = optional_seen or not read.get("required")
        found.append(read)
    nested = {option["type"] in (SUBCOMMAND, GROUP) for option in found}
    if len(nested) > 1:
        form.wrong(
            "options",
            "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID",
            "Sub-command and sub-command group option types are mutually exclusive "
            "to all other types",
        )
    return found


def _option(form: Form, depth: int) -> Json | None:
    # commands hold groups, subcommands and values; groups hold subcommands; subcommands values
    inside = {0: range(SUBCOMMAND, 12), 1: (SUBCOMMAND,), 2: range(STRING, 12)}[depth]
    kind = form.choice("type", inside, required=True)
    if kind is None:
        return None
    form.only(OPTION_KEYS | KEYS_BY_TYPE[kind])
    option: Json = {
        "type": kind,
        "name": read_name(form, chat=True),
        "description": form.text("description", 100, low=1, required=True) or "",
    }
    for name, high in (("name", 32), ("description", 100)):
        localized = read_locales(form, name, high, chat=name == "name")
        if localized is not None:
            option[f"{name}_localizations"] = localized
    if kind in (SUBCOMMAND, GROUP):
        if kind == GROUP and not form.data.get("options"):
            form.wrong("options", "BASE_TYPE_REQUIRED", "This field is required")
        option["options"] = read_options(form, 1 if kind == GROUP else 2)
        return option
    option["required"] = form.flag("required") or False
    if kind == CHANNEL and form.has("channel_types"):
        option["channel_types"] = form.items("channel_types", 25)
    _bounds(form, kind, option)
    _choices(form, kind, option)
    return option


def _bounds(form: Form, kind: int, option: Json) -> None:
    if kind == STRING:
        low = form.whole("min_length", 0, 6000)
        high = form.whole("max_length", 1, 6000)
        names = ("min_length", "max_length")
    elif kind == INTEGER:
        low = form.whole("min_value", -SAFE_INTEGER, SAFE_INTEGER)
        high = form.whole("max_value", -SAFE_INTEGER, SAFE_INTEGER)
        names = ("min_value", "max_value")
    elif kind == NUMBER:
        bounds = form.number("min_value"), form.number("max_value")
        _note_bounds(form, option, ("min_value", "max_value"), *bounds)
        return
    else:
        return
    _note_bounds(form, option, names, low, high)


def _note_bounds(
    form: Form, option: Json, names: tuple[str, str], low: float | None, high: float | None
) -> None:
    if low is not None and high is not None and low > high:
        form.wrong(names[0], "NUMBER_TYPE_MAX", f"{names[0]} must not be over {names[1]}.")
    option |= {
        name: value for name, value in zip(names, (low, high), strict=True) if value is not None
    }


def _choices(form: Form, kind: int, option: Json) -> None:
    autocomplete = form.flag("autocomplete") or False
    if form.has("autocomplete"):
        option["autocomplete"] = autocomplete
    if not form.data.get("choices"):
        return
    if autocomplete:
        form.wrong(
            "autocomplete",
            "APPLICATION_COMMAND_OPTIONS_AUTOCOMPLETE_INVALID",
            "Autocomplete cannot be used with choices",
        )
    option["choices"] = read_choices(form, kind)


def read_choices(form: Form, kind: int) -> list[Json]:
    """Read the choices of an option or of an autocomplete response."""
    found: list[Json] = []
    for choice in form.forms("choices", 25):
        choice.only({"name", "value", "name_localizations"})
        read: Json = {"name": choice.text("name", 100, low=1, required=True)}
        if kind == STRING:
            read["value"] = choice.text("value", 100, required=True)
        elif kind == INTEGER:
            read["value"] = choice.whole("value", -SAFE_INTEGER, SAFE_INTEGER, required=True)
        else:
            read["value"] = choice.number("value", required=True)
        localized = read_locales(choice, "name", 100)
        if localized is not None:
            read["name_localizations"] = localized
        if any(old["name"] == read["name"] for old in found):
            choice.wrong(
                "name",
                "APPLICATION_COMMAND_OPTIONS_CHOICE_NAME_DUPLICATE",
                "Choice names must be unique",
            )
        found.append(read)
    return found
