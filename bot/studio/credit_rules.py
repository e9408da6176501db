"""Who may manage the credits of a server, the refusals, and the changes for the audit."""

from datetime import datetime

from bot.errors import UserError
from bot.quotas import Member
from bot.rights import Subject
from bot.store.changes import Change


class ForManagers(UserError):
    def __init__(self) -> None:
        super().__init__(
            "Credits are for those who manage this server. Ask a member with the permission "
            "Manage Server."
        )


class NotInThisServer(UserError):
    def __init__(self) -> None:
        super().__init__(
            "The bot itself is not in this server, so there are no credits to manage. Add the bot "
            "to the server first."
        )


class GrantToBot(UserError):
    def __init__(self) -> None:
        super().__init__("Nothing was granted, because bots make no pictures. Choose a member.")


class NoSuchJobHere(UserError):
    def __init__(self, job: str) -> None:
        super().__init__(
            "There is no job {job} in this server. Choose one of those that are offered.", job=job
        )


class JobUnsettled(UserError):
    def __init__(self, job: str) -> None:
        super().__init__(
            "Nothing of job {job} was charged yet, because the job is in progress. Wait until the "
            "job ends.",
            job=job,
        )


class NothingCharged(UserError):
    def __init__(self, job: str) -> None:
        super().__init__(
            "Job {job} has cost nothing, so there is nothing to refund. Use /credits grant for "
            "credits as a gift.",
            job=job,
        )


class AlreadyRefunded(UserError):
    def __init__(self, job: str) -> None:
        super().__init__(
            "Job {job} was refunded already. Use /credits grant for further credits.", job=job
        )


class NoLimitYet(UserError):
    def __init__(self) -> None:
        super().__init__(
            "Nothing was changed, because no amount is set whose period could change. Give an "
            "amount, too."
        )


class OneSubject(UserError):
    def __init__(self) -> None:
        super().__init__(
            "An allowance is that of a role or of a member. Leave one of the two out, or both for "
            "the default of this server."
        )


class NoSuchPeriod(UserError):
    def __init__(self, typed: str, periods: tuple[str, ...]) -> None:
        super().__init__(
            "There is no period {typed}. Choose one of these: {periods}.",
            typed=typed,
            periods=periods,
        )


def check_manager(member: Member) -> None:
    """Raise NotInThisServer or ForManagers for a member who may not manage credits here."""
    if not member.server_id:
        raise NotInThisServer
    if not member.may_manage:
        raise ForManagers


def subject_text(subject: Subject, name: str) -> str:
    """Return the name of a subject for the audit: a role or a member as a mention."""
    return {
        Subject.ROLE: f"role <@&{name}>",
        Subject.MEMBER: f"member <@{name}>",
        Subject.TIER: f"tier {name}",
        Subject.DEFAULT: "default rights",
    }[subject]


def change_by(manager: Member, now: datetime, subject: str, before: str, after: str) -> Change:
    return Change(manager.server_id, manager.user_id, now, subject, before, after)
