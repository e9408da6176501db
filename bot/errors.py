"""Every error of Easel's own.

EaselError
├── StartupError     the program cannot start: one line that names the setting and the remedy
├── UserError        what a member did cannot be done: its text is shown to them as it is
└── ProviderError    an image API refused, failed or did not answer: mapped to a Reason
"""

from dataclasses import dataclass
from enum import StrEnum


class EaselError(Exception):
    """The root, so that a caller can catch all of ours and nothing else."""


class StartupError(EaselError):
    """Told to the operator as one line, with exit code 2 and no traceback."""


class UserError(EaselError):
    """One sentence for the member: what happened, then what to do."""


class NotNow(UserError):
    """The database cannot be read or written: locked by another program, its disk full, ...

    Nothing of the transaction is stored. The operator's log has the cause.
    """

    def __init__(self) -> None:
        super().__init__(
            "That is not possible right now, and nothing was charged. Try again in a few minutes."
        )


class Reason(StrEnum):
    """Why a job did not succeed; kept with the job, and what members are told depends on it."""

    AUTH = "auth"
    CREDITS = "credits"  # the operator's account at the service is empty
    REJECTED = "rejected"  # moderation
    INVALID = "invalid"
    INPUT = "input"  # an input picture: the job's remark says which, and what is wrong with it
    NOT_FOUND = "not_found"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    MALFORMED = "malformed"  # an answer that cannot be read
    AWAY = "away"  # of Easel: for too long to begin it, or to know whether it was answered
    DOUBTFUL = "doubtful"  # the service may have taken the request, and nobody can tell
    NO_PICTURE = "no_picture"  # the service says it succeeded and sent nothing that is a picture
    UNKNOWN = "unknown"


class Taken(StrEnum):
    """Whether a request that was to create something reached the service (design.md, step 5)."""

    NO = "no"  # surely not: it may be sent again
    REFUSED = "refused"  # read and refused: sending it again would be refused again
    DOUBTFUL = "doubtful"  # no readable answer: it must not be sent again


@dataclass(eq=False)
class ProviderError(EaselError):
    """What went wrong at an image API.

    `detail` is for the operator's log: the API's own words, never shown to members. `retry_after`
    is in seconds, where the API said so. `taken` matters for requests that create.
    """

    reason: Reason
    detail: str = ""
    taken: Taken = Taken.REFUSED
    retry_after: float | None = None

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else str(self.reason)
