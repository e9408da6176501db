"""Compare commands with those at Discord, which adds defaults, ids, versions and nulls.

Only fields that Easel knows are compared: a field that Discord adds one day would otherwise be a
difference that no registration can remove.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
Key = tuple[int, str]

CHAT_INPUT = 1
OWN_KINDS = frozenset({CHAT_INPUT, 2, 3})  # chat commands, menus of users and of messages
GUILD_INSTALL = 0
# Fields of a command of another kind, such as an Activity's Entry Point (4), that a bulk update
# accepts again.
CARRIED = (
    *("id", "type", "name", "name_localizations", "description", "description_localizations"),
    *("handler", "default_member_permissions", "nsfw", "contexts", "integration_types"),
)


@dataclass(frozen=True, slots=True)
class Difference:
    """Names of commands that Discord lacks, has in another form, or has beside Easel's."""

    absent: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.absent or self.changed or self.extra)

    def __str__(self) -> str:
        parts = [
            ("missing", self.absent),
            ("outdated", self.changed),
            ("not Easel's", self.extra),
        ]
        return "; ".join(f"{word}: {', '.join(names)}" for word, names in parts if names)


def difference(
    wanted: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]
) -> Difference:
    """Return the difference between Easel's commands and those that Discord lists."""
    own = {_key(each): normalised(each) for each in wanted}
    theirs = {_key(each): normalised(each) for each in found if _kind(each) in OWN_KINDS}
    return Difference(
        absent=tuple(_shown(key) for key in sorted(own.keys() - theirs.keys())),
        changed=tuple(
            _shown(key) for key in sorted(own.keys() & theirs.keys()) if own[key] != theirs[key]
        ),
        extra=tuple(_shown(key) for key in sorted(theirs.keys() - own.keys())),
    )


def bulk_update(
    wanted: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]
) -> list[Json]:
    """Return the body that registers `wanted`.

    Commands of kinds that Easel does not have are carried along: Discord refuses a bulk update
    that would remove an Entry Point command (50240).
    """
    carried = [
        {name: each[name] for name in CARRIED if each.get(name) not in (None, "")}
        for each in found
        if _kind(each) not in OWN_KINDS
    ]
    return [*(dict(each) for each in wanted), *carried]


def normalised(command: Mapping[str, Any]) -> Json:
    """Return the fields that matter, with the defaults that Discord fills in."""
    permissions = command.get("default_member_permissions")
    private = command.get("dm_permission") is not False
    return {
        **_texts(command),
        "type": _kind(command),
        "default_member_permissions": None if permissions is None else str(permissions),
        "nsfw": bool(command.get("nsfw")),
        # Discord derives `dm_permission` from `contexts`; old commands have only the former
        "contexts": sorted(command.get("contexts") or ((0, 1, 2) if private else (0,))),
        "integration_types": sorted(command.get("integration_types") or (GUILD_INSTALL,)),
        "options": [_option(each) for each in command.get("options") or ()],
    }


def _option(option: Mapping[str, Any]) -> Json:
    bounds = ("min_value", "max_value", "min_length", "max_length")
    return {
        **_texts(option),
        "type": option.get("type"),
        "required": bool(option.get("required")),
        "autocomplete": bool(option.get("autocomplete")),
        "channel_types": sorted(option.get("channel_types") or ()),
        "choices": [
            {**_texts(each), "value": each["value"]} for each in option.get("choices") or ()
        ],
        "options": [_option(each) for each in option.get("options") or ()],
        **{name: option.get(name) for name in bounds},
    }


def _texts(part: Mapping[str, Any]) -> Json:
    return {
        "name": part.get("name"),
        "description": part.get("description") or "",
        "name_localizations": part.get("name_localizations") or {},
        "description_localizations": part.get("description_localizations") or {},
    }


def _kind(command: Mapping[str, Any]) -> int:
    return int(command.get("type") or CHAT_INPUT)


def _key(command: Mapping[str, Any]) -> Key:
    return _kind(command), str(command.get("name"))


def _shown(key: Key) -> str:
    kind, name = key
    return f"/{name}" if kind == CHAT_INPUT else name
