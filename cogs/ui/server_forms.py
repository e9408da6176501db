"""The forms of `/server settings`, without memory.

A field has raw values: the text, or the values of a select. The custom_id of a form holds a mark of
the raw value that each field was opened with, so that the submit tells which ones were changed.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, NamedTuple, Self

import discord
from discord import ui

from bot.catalog import Catalog
from bot.periods import DEFAULT_ZONE, PeriodKind, zone_named
from bot.rights import ALL_MODELS, MOST_JOBS, READY_MADE, Allowance, Rights, ServerSettings, Subject
from bot.studio.setting_changes import Changed
from bot.studio.setting_input import (
    Word,
    limit_of,
    limit_text,
    read_limit,
    read_number,
    read_seconds,
)
from cogs.ui.forms import make_form
from cogs.ui.panel import MAX_CHOICES, PREFIX
from cogs.ui.text import shorten
from cogs.ui.wording import ServerForms

MARK = 6  # characters of the mark of a raw value
LONGEST = 60  # characters of a text field
MOST_PICTURES = 10
TARGET = rf"(?P<target>server|default|role:\d{{1,20}}|tier:(?:{'|'.join(READY_MADE)}))"
FORM_NAME = "(?P<form>access|budget|amounts|models)"
FORM = re.compile(rf"{PREFIX}server:form:{FORM_NAME}:{TARGET}:(?P<marks>[0-9a-f]*)")
PLACES = [
    discord.ChannelType.text,
    discord.ChannelType.news,
    discord.ChannelType.voice,
    discord.ChannelType.stage_voice,
    discord.ChannelType.forum,
]
WRITABLE = [discord.ChannelType.text, discord.ChannelType.news]  # for notices

Raw = Sequence[str]
RawFields = Mapping[str, Raw]  # by the names of the settings


class Target(NamedTuple):
    """The owner of settings: the server itself (without a subject), or a subject with rights."""

    subject: Subject | None
    name: str = ""

    @classmethod
    def of(cls, text: str) -> Self:
        """Return the target of a custom_id."""
        kind, _, name = text.partition(":")
        return cls(None if kind == "server" else Subject(kind), name)

    def __str__(self) -> str:
        kind = "server" if self.subject is None else self.subject.value
        return f"{kind}:{self.name}" if self.name else kind


class Kind(Enum):
    """The kinds of fields."""

    TEXT = auto()
    PERIOD = auto()
    FLAG = auto()
    MODELS = auto()
    CHANNELS = auto()
    CHANNEL = auto()
    ROLES = auto()


@dataclass(frozen=True, slots=True)
class Field:
    name: str  # of the setting
    kind: Kind
    label: str
    hint: str


PERIOD = Field("period", Kind.PERIOD, ServerForms.PERIOD, ServerForms.PERIOD_HINT)
TITLES: Mapping[str, str] = {
    "access": ServerForms.ACCESS,
    "budget": ServerForms.BUDGET,
    "amounts": ServerForms.AMOUNTS,
    "models": ServerForms.MODELS,
}
FIELDS: Mapping[str, Sequence[Field]] = {
    "access": (
        Field("channels", Kind.CHANNELS, ServerForms.CHANNELS, ServerForms.CHANNELS_HINT),
        Field("roles", Kind.ROLES, ServerForms.ROLES, ServerForms.ROLES_HINT),
        Field("notices", Kind.CHANNEL, ServerForms.NOTICES, ServerForms.NOTICES_HINT),
    ),
    "budget": (
        Field("amount", Kind.TEXT, ServerForms.BUDGET_AMOUNT, ServerForms.BUDGET_AMOUNT_HINT),
        Field("period", Kind.PERIOD, ServerForms.BUDGET_PERIOD, ServerForms.BUDGET_PERIOD_HINT),
        Field("zone", Kind.TEXT, ServerForms.ZONE, ServerForms.ZONE_HINT),
    ),
    "amounts": (
        Field("amount", Kind.TEXT, ServerForms.AMOUNT, ServerForms.AMOUNT_HINT),
        PERIOD,
        Field("pictures", Kind.TEXT, ServerForms.PICTURES, ServerForms.PICTURES_HINT),
        Field("jobs", Kind.TEXT, ServerForms.JOBS, ServerForms.JOBS_HINT),
        Field("cooldown", Kind.TEXT, ServerForms.COOLDOWN, ServerForms.COOLDOWN_HINT),
    ),
    "models": (
        Field("models", Kind.MODELS, ServerForms.MODELS_FIELD, ServerForms.MODELS_HINT),
        Field("private", Kind.FLAG, ServerForms.PRIVATE, ServerForms.PRIVATE_HINT),
        Field("edit", Kind.FLAG, ServerForms.EDIT, ServerForms.EDIT_HINT),
    ),
}


def marks_of(form: str, raw: RawFields) -> str:
    """Return the marks of all fields of a form, in their order."""
    return "".join(mark_of(raw.get(field.name, ())) for field in FIELDS[form])


def mark_of(raw: Raw) -> str:
    """Return a mark of a raw value; the order of several values does not matter."""
    return hashlib.sha256("\0".join(sorted(raw)).encode()).hexdigest()[:MARK]


def settings_form(
    form: str, target: Target, raw: RawFields, catalog: Catalog, *, marks: str | None = None
) -> ui.Modal:
    """Return a form with these values; `marks` are those of the first opening, if it is another."""
    fields = [
        ui.Label[Any](
            text=field.label,
            description=field.hint,
            component=_component(field, raw.get(field.name, ()), catalog),
        )
        for field in FIELDS[form]
    ]
    custom_id = f"{PREFIX}server:form:{form}:{target}:{marks or marks_of(form, raw)}"
    return make_form(custom_id, TITLES[form], *fields)


def raw_settings(settings: ServerSettings) -> RawFields:
    """Return the raw values of a server's settings."""
    notices = settings.notices
    return {
        "channels": [str(each) for each in sorted(settings.channels)],
        "roles": [str(each) for each in sorted(settings.roles)],
        "notices": [] if notices is None else [str(notices)],
        "zone": [settings.zone],
        **_raw_allowance(settings.budget),
    }


def raw_rights(rights: Rights) -> RawFields:
    """Return the raw values of a subject's rights."""
    set_ones = {"pictures": rights.pictures, "jobs": rights.jobs, "cooldown": rights.cooldown}
    numbers = {name: [] if each is None else [str(each)] for name, each in set_ones.items()}
    flags = {
        name: [{None: "unset", True: "yes", False: "no"}[getattr(rights, name)]]
        for name in ("private", "edit")
    }
    models = sorted(rights.models or ())
    return {**_raw_allowance(rights.allowance), **numbers, **flags, "models": models}


def changed_of(form: str, raw: RawFields, marks: str) -> Changed:
    """Return the values of the fields that differ from those at the opening. UserError."""
    known = [marks[at : at + MARK] for at in range(0, MARK * len(FIELDS[form]), MARK)]
    return {
        field.name: _read(field, raw.get(field.name, ()))
        for field, mark in zip(FIELDS[form], known, strict=True)
        if mark_of(raw.get(field.name, ())) != mark
    }


def offered_by(field: Field, catalog: Catalog, stored: Raw = ()) -> Mapping[str, str] | None:
    """Return the values that a select offers, with their labels; None for any other field.

    `stored` are models that were chosen earlier, and may be on offer no more.
    """
    match field.kind:
        case Kind.PERIOD:
            return ServerForms.PERIODS
        case Kind.FLAG:
            return ServerForms.FLAGS
        case Kind.MODELS:
            known = {key: shorten(spec.title, 100) for key, spec in catalog.specs.items()}
            gone = {key: key for key in stored if key not in {*known, *ALL_MODELS}}
            every = dict.fromkeys(ALL_MODELS, ServerForms.EVERY_MODEL)
            return dict([*(every | gone | known).items()][:MAX_CHOICES])
    return None


def _raw_allowance(allowance: Allowance | None) -> RawFields:
    amount = limit_text(limit_of(allowance))
    kind = PeriodKind.MONTH if allowance is None else allowance.period
    return {"amount": [amount] if amount else [], "period": [kind.value]}


def _read(field: Field, raw: Raw) -> object:
    """Return the value of a setting by its raw value. UserError."""
    text = raw[0] if raw else ""
    match field.name:
        case "amount":
            return read_limit(text) if text.strip() else Word.UNSET
        case "zone":
            return zone_named(text) if text else DEFAULT_ZONE
        case "pictures":
            return read_number(text, 0, MOST_PICTURES)
        case "jobs":
            return read_number(text, 1, MOST_JOBS)
        case "cooldown":
            return read_seconds(text)
        case "period":
            return PeriodKind(text) if text in ServerForms.PERIODS else PeriodKind.MONTH
        case "private" | "edit":
            return {"yes": True, "no": False}.get(text)
        case "models":
            chosen = frozenset(raw)
            return ALL_MODELS if chosen & ALL_MODELS else chosen or None
        case "notices":
            return int(text) if text else None
    return frozenset(int(each) for each in raw)


def _component(field: Field, raw: Raw, catalog: Catalog) -> ui.Item[Any]:
    offered = offered_by(field, catalog, raw)
    if offered is not None:
        several = field.kind is Kind.MODELS
        return ui.Select[Any](
            custom_id=field.name,
            required=not several,
            min_values=0 if several else 1,
            max_values=len(offered) if several else 1,
            options=[
                discord.SelectOption(label=label, value=value, default=value in raw)
                for value, label in offered.items()
            ],
        )
    if field.kind is Kind.TEXT:
        return ui.TextInput[Any](
            custom_id=field.name,
            default=raw[0][:LONGEST] if raw else None,
            max_length=LONGEST,
            required=False,
        )
    most = 1 if field.kind is Kind.CHANNEL else MAX_CHOICES
    if field.kind is Kind.ROLES:
        return ui.RoleSelect[Any](
            custom_id=field.name,
            required=False,
            min_values=0,
            max_values=most,
            default_values=[_default(each, "role") for each in raw[:most]],
        )
    return ui.ChannelSelect[Any](
        custom_id=field.name,
        required=False,
        min_values=0,
        max_values=most,
        channel_types=WRITABLE if field.kind is Kind.CHANNEL else PLACES,
        default_values=[_default(each, "channel") for each in raw[:most]],
    )


def _default(number: str, kind: str) -> discord.SelectDefaultValue:
    return discord.SelectDefaultValue(id=int(number), type=discord.SelectDefaultValueType(kind))
