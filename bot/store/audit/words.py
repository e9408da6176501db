"""The names of entries, accounts and times in findings."""

from bot.ledger import Account, credits_text
from bot.store.audit.lines import EntryLine


def named(entry: EntryLine) -> str:
    """Return the kind and the amount of an entry."""
    return f"{with_article(entry.kind)} of {credits_text(entry.amount)}"


def with_article(kind: str) -> str:
    return f"an {kind}" if kind.startswith("a") else f"a {kind}"


def strange(entry: EntryLine) -> str:
    return f"has {named(entry)} with the reason “{entry.reason}”, which Easel does not write"


def at(moment: object) -> str:
    return "never" if moment is None else f"at {moment}"


def account_name(account: Account) -> str:
    return f"user {account.user_id}, server {account.server_id}"
