"""Find the users and roles that a message pings, by the text and by `allowed_mentions`."""

import re
from dataclasses import dataclass
from typing import Final

from bot.sandbox.discord.request_body import Form, as_snowflake

CODE: Final = re.compile(r"```.*?```|``.*?``|`[^`\n]*`", re.DOTALL)
USER: Final = re.compile(r"<@!?(\d{1,20})>")
ROLE: Final = re.compile(r"<@&(\d{1,20})>")
EVERYONE: Final = re.compile(r"@(everyone|here)\b")
KINDS: Final = ("users", "roles", "everyone")


@dataclass(frozen=True)
class Allowed:
    """The rules of `allowed_mentions`; without that field, everything in the text pings."""

    parse: frozenset[str] = frozenset(KINDS)
    users: frozenset[int] = frozenset()
    roles: frozenset[int] = frozenset()
    replied_user: bool = True


@dataclass(frozen=True)
class Pings:
    users: tuple[int, ...] = ()
    roles: tuple[int, ...] = ()
    everyone: bool = False


def read_allowed(body: Form) -> Allowed:
    """Read `allowed_mentions`.

    Kinds must be known, lists hold at most 100 ids, and a kind excludes a list of the same kind.
    """
    form = body.form("allowed_mentions")
    if form is None:
        return Allowed()
    form.only({"parse", "users", "roles", "replied_user"})
    parse = form.items("parse", 3)
    for index, kind in enumerate(parse):
        if kind not in KINDS:
            form.problems.add(
                (*form.path, "parse", index),
                "BASE_TYPE_CHOICES",
                "Value must be one of ('users', 'everyone', 'roles').",
            )
    lists = {}
    for name in ("users", "roles"):
        ids = [as_snowflake(item) for item in form.items(name, 100)]
        if None in ids:
            form.wrong(name, "NUMBER_TYPE_COERCE", "Value is not snowflake.")
        if ids and name in parse:
            form.wrong(
                None,
                "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE",
                f'parse:["{name}"] and {name}: [ids...] are mutually exclusive.',
            )
        lists[name] = frozenset(item for item in ids if item is not None)
    return Allowed(
        parse=frozenset(kind for kind in parse if isinstance(kind, str)),
        users=lists["users"],
        roles=lists["roles"],
        replied_user=bool(form.flag("replied_user")),
    )


def find_pings(text: str, allowed: Allowed, *, may_everyone: bool) -> Pings:
    """Find the mentions that ping. Mentions in code are skipped, because they do not ping."""
    plain = CODE.sub(" ", text)
    users = tuple(dict.fromkeys(int(found) for found in USER.findall(plain)))
    roles = tuple(dict.fromkeys(int(found) for found in ROLE.findall(plain)))
    return Pings(
        users=users if "users" in allowed.parse else tuple(u for u in users if u in allowed.users),
        roles=roles if "roles" in allowed.parse else tuple(r for r in roles if r in allowed.roles),
        everyone=may_everyone and "everyone" in allowed.parse and bool(EVERYONE.search(plain)),
    )
