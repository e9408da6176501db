"""The refusals of `/credits`, beside those of what is typed (bot.studio.setting_input)."""

from bot.errors import UserError


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
