"""Every error of Easel's own.

EaselError
├── StartupError     the program cannot start: one line that names the setting and the remedy
├── UserError        a member's request cannot be done: the text is shown to the member
└── ProviderError    an image API refused, failed or did not answer: mapped to a Reason
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class EaselError(Exception):
    """The root: catches all errors of Easel and nothing else."""


class StartupError(EaselError):
    """An error for the operator: one line, with exit code 2 and no traceback."""


class UserError(EaselError):
    """A message for the member: first the event, then the remedy.

    `text` is a whole sentence, with named placeholders that `values` fill; a tuple is a list of
    words. Members see the values escaped and shortened (cogs.ui.text.sentence), because they may
    come from outside.
    """

    def __init__(self, text: str, **values: object) -> None:
        words = {
            name: ", ".join(value) if isinstance(value, tuple) else value
            for name, value in values.items()
        }
        super().__init__(text.format(**words) if words else text)
        self.text = text
        self.values = values


class Mentions:
    """Channels or roles in a message: Discord shows their names in the place of their ids."""

    MOST = 10

    def __init__(self, mark: str, ids: Iterable[int]) -> None:
        """`mark` is that of the kind: `#` for channels, `@&` for roles."""
        self._listed = [f"<{mark}{each}>" for each in sorted(ids)]

    def __str__(self) -> str:
        more = len(self._listed) - self.MOST
        return ", ".join(self._listed[: self.MOST]) + (f" and {more} more" if more > 0 else "")


class NotNow(UserError):
    """The database, or the store of pictures, cannot be used: locked, its disk full, not reached.

    Nothing of a transaction is stored. The operator's log has the cause.
    """

    text_for_members = (
        "That is not possible right now, and nothing was charged. Try again in a few minutes."
    )

    def __init__(self) -> None:
        super().__init__(self.text_for_members)


class Conflict(NotNow):
    """Another transaction was in the way: the same block may succeed at once."""


class OutcomeUnknown(NotNow):
    """The connection was lost during the commit: the transaction is stored, or nothing of it."""

    text_for_members = (
        "The database has not confirmed your request, and may have stored it. See /jobs in a few "
        "minutes, before you try again."
    )


class Reason(StrEnum):
    """The reason why a job did not succeed; stored with the job."""

    AUTH = "auth"
    CREDITS = "credits"  # the operator's account at the service is empty
    REJECTED = "rejected"  # moderation
    INVALID = "invalid"
    INPUT = "input"  # an input picture; the job's remark names the picture and the fault
    NOT_FOUND = "not_found"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    MALFORMED = "malformed"  # an unreadable answer
    AWAY = "away"  # Easel did not run for too long
    DOUBTFUL = "doubtful"  # a submit whose unknown outcome could not be reconciled
    NO_PICTURE = "no_picture"  # a success without any picture
    UNKNOWN = "unknown"


class Taken(StrEnum):
    """The knowledge about a creating request: taken by the service, or surely not."""

    NO = "no"  # surely not taken: may be sent again
    REFUSED = "refused"  # read and refused: permanent
    DOUBTFUL = "doubtful"  # no readable answer, an unknown outcome: never sent again


@dataclass(eq=False)
class ProviderError(EaselError):
    """An image API refused, failed or did not answer.

    `detail` holds the API's own words, for the operator's log alone. `retry_after` is in seconds,
    if the API sent one. `taken` matters for requests that create.
    """

    reason: Reason
    detail: str = ""
    taken: Taken = Taken.REFUSED
    retry_after: float | None = None

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else str(self.reason)
