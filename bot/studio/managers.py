"""The managers of a server: who is one, and how their changes are written down."""

from datetime import datetime

from bot.errors import UserError
from bot.pseudonyms import deleted_member, is_pseudonym
from bot.quotas import Member
from bot.rights import Subject
from bot.store.changes import Change


class ManagersOnly(UserError):
    def __init__(self) -> None:
        super().__init__(
            "You may not manage this server. Ask a member with the permission Manage Server."
        )


class BotNotInServer(UserError):
    def __init__(self) -> None:
        super().__init__(
            "The bot itself is not in this server, so there is nothing to manage. Add the bot to "
            "the server first."
        )


def check_manager(member: Member) -> None:
    """Raise BotNotInServer or ManagersOnly for a member who may not manage anything here."""
    if not member.server_id:
        raise BotNotInServer
    if not member.may_manage:
        raise ManagersOnly


def subject_text(subject: Subject, name: str) -> str:
    """Return the name of a subject for the audit: a role or a member as a mention."""
    return {
        Subject.ROLE: f"role <@&{name}>",
        Subject.MEMBER: f"member <@{name}>",
        Subject.TIER: f"tier {name}",
        Subject.DEFAULT: "default rights",
    }[subject]


def member_text(user_id: int) -> str:
    """Return the words for a member in the audit, who may have deleted the data."""
    if is_pseudonym(user_id):
        return deleted_member(user_id)
    return subject_text(Subject.MEMBER, str(user_id))


def change_by(manager: Member, now: datetime, subject: str, before: str, after: str) -> Change:
    """Return a change for the audit; `subject` is what was changed, of whom."""
    return Change(manager.server_id, manager.user_id, now, subject, before, after)
