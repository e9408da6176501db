"""The private pages of `/server settings` and `/server audit`.

Each page is made of the stored rows; its buttons and selects name what they open.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import discord
from discord import ui

from bot.periods import PeriodKind
from bot.rights import READY_MADE, RIGHTS, Allowance, ServerSettings, Subject
from bot.store.changes import Change
from bot.store.servers import Granted
from bot.studio.servers import AUDIT_PAGE, Budget, SubjectRights
from bot.studio.setting_changes import setting_text
from cogs.ui.numbers import credits_in, limit_in
from cogs.ui.panel import AMBER, BLUE, PREFIX, action_row, panel
from cogs.ui.server_forms import FIELDS, FORM_NAME, TARGET, Kind, RawFields, Target
from cogs.ui.text import MARKUP, listing, mention, plain, tidy
from cogs.ui.wording import Audit, Notices, ServerPages

PAGE = re.compile(rf"{PREFIX}server:page")
ROLE = re.compile(rf"{PREFIX}server:role")
TIER = re.compile(rf"{PREFIX}server:tier")
TAKE = re.compile(rf"{PREFIX}server:take:{TARGET}")
OPEN = re.compile(rf"{PREFIX}server:open:{FORM_NAME}:{TARGET}")
OPEN_AGAIN = re.compile(rf"{PREFIX}server:again:{FORM_NAME}:{TARGET}:(?P<marks>[0-9a-f]*)")
RESET = re.compile(rf"{PREFIX}server:reset:(?P<tier>{'|'.join(READY_MADE)})")
AUDIT = re.compile(rf"{PREFIX}server:audit:(?P<before>\d{{1,19}})")
TYPED_ID = 4200  # of the component that shows the first field of a refused form
NO_TIER = "none"
LONGEST_LIST = 1500  # characters of the roles on a page
LONGEST_AUDIT = 3500  # characters; all texts of a message have 4000
LONGEST_VALUE = 600  # characters of a setting before or after a change
LONGEST_TYPED = 1500  # characters of a field of a refused form
# The mentions and times in a change, which Discord shows by their names.
SHOWN = re.compile(r"(<(?:#|@&|@|t:)\d{1,20}(?::[a-zA-Z])?>)")


def access_view(settings: ServerSettings, *notes: str) -> ui.LayoutView:
    text = ServerPages.ACCESS_TEXT.format(
        **{
            name: setting_text(name, getattr(settings, name))
            for name in ("channels", "roles", "notices")
        }
    )
    target = Target(None)
    return _page(
        "access",
        (ServerPages.ACCESS_TITLE, *notes, text, ServerPages.ACCESS_HINT),
        action_row(_open(ServerPages.CHANGE, "access", target)),
    )


def budget_view(budget: Budget, *notes: str, locale: str | None) -> ui.LayoutView:
    """Return the page of the budget, which says how much of it is used."""
    text = ServerPages.BUDGET_TEXT.format(
        budget=_value("budget", budget.settings.budget, locale),
        begin=_seconds(budget.period.begin),
        used=credits_in(budget.used, locale),
        zone=budget.settings.zone,
        **{each.value: _seconds(budget.ends[each]) for each in PeriodKind},
    )
    return _page(
        "budget",
        (
            ServerPages.BUDGET_TITLE,
            *notes,
            text,
            *_warnings(budget),
            ServerPages.BUDGET_HINT,
        ),
        action_row(_open(ServerPages.CHANGE, "budget", Target(None))),
    )


def rights_view(rights: SubjectRights, *notes: str, locale: str | None) -> ui.LayoutView:
    """Return the page of the default rights, of a role or of a tier."""
    target = Target(rights.subject, rights.name)
    buttons = [
        _open(ServerPages.AMOUNTS, "amounts", target),
        _open(ServerPages.ACCESS, "models", target),
    ]
    rows = []
    match rights.subject:
        case Subject.TIER:
            subject, title = "tiers", ServerPages.TIER_TITLE.format(tier=rights.name)
            hint = ServerPages.TIER_CHANGED if rights.changed else ServerPages.TIER_READY_MADE
            custom_id = f"{PREFIX}server:reset:{rights.name}"
            buttons.append(_button(ServerPages.RESET, custom_id, disabled=not rights.changed))
        case Subject.ROLE:
            subject, title = "roles", ServerPages.ROLE_TITLE.format(role=f"<@&{rights.name}>")
            hint = ServerPages.ROLE_HINT
            rows.append(_take_row(rights, target))
        case _:
            subject, title = "default", ServerPages.DEFAULT_TITLE
            hint = ServerPages.DEFAULT_HINT
            rows.append(_take_row(rights, target))
    rows += {"roles": [_role_row()], "tiers": [_tier_row(rights.name)]}.get(subject, [])
    text = "\n".join(_rights_lines(rights, locale))
    return _page(subject, (title, *notes, text, hint), action_row(*buttons), *rows)


def roles_view(granted: Sequence[Granted], *notes: str) -> ui.LayoutView:
    """Return the page on which a role is chosen."""
    roles = [f"<@&{each.name}>" for each in granted if each.subject is Subject.ROLE]
    text = ServerPages.NO_ROLES
    if roles:
        text = ServerPages.ROLES_TEXT.format(roles=listing(roles, LONGEST_LIST))
    parts = (ServerPages.ROLES_TITLE, *notes, text, ServerPages.ROLES_HINT)
    return _page("roles", parts, _role_row())


def tiers_view(granted: Sequence[Granted], *notes: str) -> ui.LayoutView:
    """Return the page on which a tier is chosen."""
    changed = ", ".join(each.name for each in granted if each.subject is Subject.TIER)
    text = ServerPages.TIERS_TEXT.format(tiers=changed or ServerPages.TIERS_NONE)
    return _page("tiers", (ServerPages.TIERS_TITLE, *notes, text), _tier_row(""))


def typed_view(
    refusal: str, form: str, target: Target, raw: RawFields, marks: str
) -> ui.LayoutView:
    """Return a refusal of a form with everything that was typed, and a button that opens it again.

    The message itself holds the values (`typed_in`).
    """
    texts = [
        ui.TextDisplay[Any](
            ServerPages.TYPED.format(label=field.label, value=_typed(field.kind, raw[field.name])),
            id=TYPED_ID + number,
        )
        for number, field in enumerate(FIELDS[form])
    ]
    custom_id = f"{PREFIX}server:again:{form}:{target}:{marks}"
    view = panel(refusal, *texts, colour=AMBER)
    view.add_item(action_row(_button(ServerPages.OPEN_AGAIN, custom_id)))
    return view


def typed_in(form: str, components: Sequence[object]) -> RawFields:
    """Return the raw values that a message of `typed_view` shows."""
    texts = dict(_texts(components))
    found: dict[str, Sequence[str]] = {}
    for number, field in enumerate(FIELDS[form]):
        shown = texts.get(TYPED_ID + number, "").removeprefix(
            ServerPages.TYPED.format(label=field.label, value="")
        )
        if shown in {"", ServerPages.NOTHING_TYPED}:
            found[field.name] = []
        elif field.kind in {Kind.CHANNELS, Kind.CHANNEL, Kind.ROLES}:
            found[field.name] = re.findall(r"\d+", shown)
        else:
            text = re.sub(r"\\(.)", r"\1", shown)
            found[field.name] = [text] if field.kind is Kind.TEXT else text.split(", ")
    return found


def audit_view(changes: Sequence[Change]) -> ui.LayoutView:
    """Return a page of changes; there are earlier ones if not all of `changes` are shown."""
    shown: list[str] = []
    left = LONGEST_AUDIT
    for change in changes[:AUDIT_PAGE]:
        line = Audit.LINE.format(
            time=_seconds(change.created_at),
            member=mention(change.user_id),
            subject=_words(change.subject),
            before=_words(change.before),
            after=_words(change.after),
        )
        left -= len(line) + 1
        if left < 0:
            break
        shown.append(line)
    more = len(shown) < len(changes)
    view = panel(Audit.TITLE, "\n".join(shown) or Audit.NOTHING)
    older = changes[len(shown) - 1].id if more else 1  # an id that no other button has
    view.add_item(
        action_row(
            _button(Audit.NEWEST, f"{PREFIX}server:audit:0"),
            _button(Audit.OLDER, f"{PREFIX}server:audit:{older}", disabled=not more),
        )
    )
    return view


def notice_view(used: int, limit: int, end: int, *, locale: str | None) -> ui.LayoutView:
    """Return the message that most of a server's budget is used; `end` in Unix seconds."""
    text = Notices.SERVER.format(
        used=credits_in(used, locale), limit=credits_in(limit, locale), end=end
    )
    return panel(text, colour=AMBER)


def _page(subject: str, texts: Sequence[str], *rows: ui.ActionRow[Any]) -> ui.LayoutView:
    view = panel(*texts, colour=BLUE)
    for row in rows:
        view.add_item(row)
    options = [
        discord.SelectOption(label=label, value=value, default=value == subject)
        for value, label in ServerPages.SUBJECTS.items()
    ]
    select = ui.Select[Any](
        custom_id=PAGE.pattern, placeholder=ServerPages.SUBJECT_SELECT, options=options
    )
    view.add_item(action_row(select))
    return view


def _warnings(budget: Budget) -> Iterator[str]:
    if not budget.is_nearly_used_up:
        return
    end = _seconds(budget.period.end)
    if budget.limit == 0:
        yield ServerPages.BUDGET_NONE
    elif budget.is_used_up:
        yield ServerPages.BUDGET_USED_UP.format(end=end)
    else:
        yield ServerPages.BUDGET_NEARLY.format(end=end)
    if budget.settings.notices is None:
        yield ServerPages.NO_NOTICES


def _rights_lines(rights: SubjectRights, locale: str | None) -> Iterator[str]:
    for name in RIGHTS:
        own, whole = getattr(rights.own, name), getattr(rights.whole, name)
        if own is None and whole is not None:
            line, value = ServerPages.OF_TIER, whole
        else:
            line, value = ServerPages.RIGHT, own
        text = _words(_value(name, value, locale))
        yield line.format(name=ServerPages.RIGHTS[name], value=text, tier=rights.own.tier)


def _value(name: str, value: object, locale: str | None) -> str:
    """Return the value of a setting or a right, with an amount as in the manager's language."""
    return limit_in(value, locale) if isinstance(value, Allowance) else setting_text(name, value)


def _take_row(rights: SubjectRights, target: Target) -> ui.ActionRow[Any]:
    tier = rights.own.tier or NO_TIER
    options = [discord.SelectOption(label=ServerPages.NO_TIER, value=NO_TIER)]
    options += [discord.SelectOption(label=name, value=name) for name in READY_MADE]
    for option in options:
        option.default = option.value == tier
    custom_id = f"{PREFIX}server:take:{target}"
    return action_row(
        ui.Select[Any](custom_id=custom_id, placeholder=ServerPages.TAKE_SELECT, options=options)
    )


def _role_row() -> ui.ActionRow[Any]:
    return action_row(
        ui.RoleSelect[Any](custom_id=ROLE.pattern, placeholder=ServerPages.ROLE_SELECT)
    )


def _tier_row(chosen: str) -> ui.ActionRow[Any]:
    options = [
        discord.SelectOption(label=name, value=name, default=name == chosen) for name in READY_MADE
    ]
    return action_row(
        ui.Select[Any](custom_id=TIER.pattern, placeholder=ServerPages.TIER_SELECT, options=options)
    )


def _open(label: str, form: str, target: Target) -> ui.Button[Any]:
    return _button(label, f"{PREFIX}server:open:{form}:{target}")


def _button(label: str, custom_id: str, *, disabled: bool = False) -> ui.Button[Any]:
    return ui.Button[Any](label=label, custom_id=custom_id, disabled=disabled)


def _typed(kind: Kind, raw: Sequence[str]) -> str:
    """Return a raw value for the message of a refused form."""
    if not raw:
        return ServerPages.NOTHING_TYPED
    marks = {Kind.CHANNELS: "#", Kind.CHANNEL: "#", Kind.ROLES: "@&"}
    if kind in marks:
        return ", ".join(f"<{marks[kind]}{each}>" for each in raw)
    return plain(", ".join(raw), LONGEST_TYPED)


def _texts(components: Sequence[object]) -> Iterator[tuple[int, str]]:
    for each in components:
        if isinstance(each, discord.TextDisplay) and each.id is not None:
            yield each.id, each.content
        elif isinstance(each, discord.Container):
            yield from _texts(each.children)


def _words(text: str) -> str:
    """Return a part of a change, in which nothing but mentions and times has a meaning."""
    line = tidy(text)
    if len(line) > LONGEST_VALUE:
        line = line[:LONGEST_VALUE].rpartition(",")[0] or line[:LONGEST_VALUE]
        line += " …"
    parts = SHOWN.split(line)
    return "".join(
        part if number % 2 else MARKUP.sub(r"\\\1", part) for number, part in enumerate(parts)
    )


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
