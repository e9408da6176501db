"""Register commands: Discord's checks, and the stored form that Discord returns."""

from collections.abc import Callable
from typing import Any, Final

from bot.sandbox.discord.command_options import read_locales, read_name, read_options
from bot.sandbox.discord.request_body import Form, Json, Problems, Refusal, invalid

CHAT_INPUT, USER_MENU, MESSAGE_MENU, ENTRY_POINT = 1, 2, 3, 4
MOST: Final = {CHAT_INPUT: 100, USER_MENU: 15, MESSAGE_MENU: 15, ENTRY_POINT: 1}  # per scope
CREATES_A_DAY: Final = 200  # per scope; a command of a known name and kind is no create
DAY: Final = 86400.0
LOCALIZED: Final = frozenset({"name_localizations", "description_localizations"})
CHARACTERS: Final = 8000  # of a whole command in the longest locale
COMMAND_KEYS: Final = frozenset(
    {"id", "type", "name", "name_localizations", "description", "description_localizations"}
    | {"options", "default_member_permissions", "dm_permission", "default_permission", "nsfw"}
    | {"contexts", "integration_types", "handler"}
    # fields of a response may be sent back unchanged
    | {"application_id", "version", "guild_id"}
)


def read_commands(body: Any, known: list[Json], make: Callable[[], int]) -> list[Json]:  # noqa: ANN401
    """Check the complete set of commands of one scope. Raise `Refusal`.

    Commands of the same name and kind as one in `known` keep their ids.
    """
    if not isinstance(body, list):
        raise invalid((), "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
    problems = Problems()
    found: list[Json] = []
    counts = dict.fromkeys(MOST, 0)
    names: set[tuple[int, str]] = set()
    for index, item in enumerate(body):
        if not isinstance(item, dict):
            problems.add((index,), "MODEL_TYPE_CONVERT", "Only dictionaries may be used here")
            continue
        form = Form(item, problems, (index,))
        command = _command(form)
        kind, name = command["type"], command["name"]
        counts[kind] += 1
        if (kind, name) in names:
            form.wrong(
                "name",
                "APPLICATION_COMMANDS_DUPLICATE_NAME",
                "Application command names must be unique",
            )
        names.add((kind, name))
        found.append(command)
    problems.settle()
    for kind, count in counts.items():
        if count > MOST[kind]:
            raise Refusal(
                400, 30032, f"Maximum number of application commands reached ({MOST[kind]})"
            )
    return [_registered(command, known, make) for command in found]


def _registered(command: Json, known: list[Json], make: Callable[[], int]) -> Json:
    same = (
        old["id"]
        for old in known
        if (old["type"], old["name"]) == (command["type"], command["name"])
    )
    return {"id": next(same, None) or str(make()), **command, "version": str(make())}


def check_entry_point(body: list[Json], known: list[Json]) -> None:
    """Refuse a bulk update that would remove the Entry Point command of an Activity."""
    if any(item["type"] == ENTRY_POINT for item in known) and not any(
        item["type"] == ENTRY_POINT for item in body
    ):
        raise Refusal(
            400,
            50240,
            "You cannot remove this app's Entry Point command in a bulk update operation. "
            "Include the Entry Point command in your update request or delete it separately.",
        )


def count_creates(fresh: list[Json], known: list[Json], created: list[float], now: float) -> None:
    """Note the creates of one scope in `created`. Raise `Refusal` beyond the daily limit."""
    ids = {item["id"] for item in known}
    number = sum(item["id"] not in ids for item in fresh)
    created[:] = [at for at in created if at > now - DAY]
    if number and len(created) + number > CREATES_A_DAY:
        text = f"Max number of daily application command creates has been reached ({CREATES_A_DAY})"
        raise Refusal(400, 30034, text)
    created += [now] * number


def without_localizations(part: Json) -> Json:
    """Return a command, an option or a choice as a list shows it without `with_localizations`."""
    shown = {name: value for name, value in part.items() if name not in LOCALIZED}
    for name in ("options", "choices"):
        if name in shown:
            shown[name] = [without_localizations(item) for item in shown[name]]
    return shown


def _command(form: Form) -> Json:
    form.only(COMMAND_KEYS)
    kind = form.choice("type", tuple(MOST)) or CHAT_INPUT
    command: Json = {
        "type": kind,
        "name": read_name(form, chat=kind == CHAT_INPUT),
        "name_localizations": read_locales(form, "name", 32, chat=kind == CHAT_INPUT),
        "description": "",
        "description_localizations": None,
        "default_member_permissions": _permissions(form),
        "dm_permission": form.flag("dm_permission") is not False,
        "nsfw": form.flag("nsfw") or False,
        "contexts": _set(form, "contexts", (0, 1, 2)),
        "integration_types": _set(form, "integration_types", (0, 1)) or [0],
    }
    if kind == ENTRY_POINT:
        command["handler"] = form.choice("handler", (1, 2), required=True)
    elif form.has("handler"):
        form.wrong("handler", "APPLICATION_COMMAND_INVALID_HANDLER", "Only for Entry Points.")
    if kind != CHAT_INPUT:
        if form.data.get("description") or form.data.get("options"):
            form.wrong(
                "description",
                "APPLICATION_COMMAND_CONTEXT_MENU_DESCRIPTION_PROHIBITED",
                "Context menu commands cannot have description or options",
            )
        return command
    command["description"] = form.text("description", 100, low=1, required=True) or ""
    command["description_localizations"] = read_locales(form, "description", 100)
    if form.has("options"):
        command["options"] = read_options(form, depth=0)
    if _characters(command) > CHARACTERS:
        form.wrong(
            None,
            "APPLICATION_COMMAND_TOO_LARGE",
            f"Command exceeds maximum size ({CHARACTERS})",
        )
    return command


def _permissions(form: Form) -> str | None:
    value = form.data.get("default_member_permissions")
    if value is None:
        return None
    if isinstance(value, bool) or not str(value).isdigit():
        form.wrong("default_member_permissions", "NUMBER_TYPE_COERCE", "It is not a bit set.")
    return str(value)


def _set(form: Form, name: str, allowed: tuple[int, ...]) -> list[int] | None:
    """Return a list of distinct allowed numbers, or None."""
    if not form.has(name):
        return None
    values = form.items(name, len(allowed), low=1)
    if any(isinstance(item, bool) or item not in allowed for item in values):
        form.wrong(name, "BASE_TYPE_CHOICES", f"Values must be among {allowed}.")
    elif len(set(values)) != len(values):
        form.wrong(name, "SET_TYPE_ALREADY_CONTAINS_VALUE", "Values must be unique.")
    return values


def _characters(part: Json) -> int:
    """Count name, description and values of a part and its children, each in the longest locale."""
    total = len(str(part["value"])) if "value" in part else 0
    for name in ("name", "description"):
        texts = [part.get(name) or "", *(part.get(f"{name}_localizations") or {}).values()]
        total += max(len(text) for text in texts)
    inner = [*part.get("options", []), *part.get("choices", [])]
    return total + sum(_characters(item) for item in inner)
