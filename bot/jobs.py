"""A job: one request of one member, from `queued` until it is settled and delivered."""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from bot.errors import Reason

JOB_ID_PATTERN = "[a-z2-7]{16}"
TOKEN_LIFE = timedelta(minutes=15)  # Discord's interaction tokens (discord.md, Quotas)


def new_job_id() -> str:
    """16 random base32 characters: fits a nonce (25), a custom_id (100) and a file name."""
    return base64.b32encode(secrets.token_bytes(10)).decode().lower()


class JobStatus(StrEnum):
    QUEUED = "queued"  # waits for a place at the provider
    SUBMITTING = "submitting"  # the creating request is, or was, on its way
    RUNNING = "running"  # the provider has it; its remote ids are stored
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def settled(self) -> bool:
        return not NEXT[self]


NEXT: Mapping[JobStatus, frozenset[JobStatus]] = {
    JobStatus.QUEUED: frozenset({JobStatus.SUBMITTING, JobStatus.CANCELED, JobStatus.FAILED}),
    JobStatus.SUBMITTING: frozenset(
        {
            JobStatus.QUEUED,  # surely not taken by the provider
            JobStatus.RUNNING,
            JobStatus.SUCCEEDED,
            JobStatus.FAILED,
            JobStatus.CANCELED,
        }
    ),
    JobStatus.RUNNING: frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELED}),
    JobStatus.SUCCEEDED: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.CANCELED: frozenset(),
}
SETTLED = frozenset(status for status in JobStatus if status.settled)
ACTIVE = frozenset(JobStatus) - SETTLED


def sources(target: JobStatus) -> frozenset[JobStatus]:
    """The statuses a job may be in to be moved to `target`; SQL guards every move with them."""
    return frozenset(status for status, targets in NEXT.items() if target in targets)


Option = str | int | bool


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """What was asked. `options` holds only what the member gave, by the names of our commands."""

    model: str  # as members write it: `oxen`, `skills`
    prompt: str
    options: Mapping[str, Option] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()  # addresses that the provider can download without credentials

    @property
    def count(self) -> int:
        return int(self.options.get("count", 1))

    @property
    def texts(self) -> tuple[str, ...]:
        """The member's own words, which belong in no log."""
        return (self.prompt, str(self.options.get("negative_prompt", "")))


@dataclass(frozen=True, slots=True)
class Attachment:
    """A picture that was attached, by its place at Discord.

    `size` is in bytes, `width` and `height` in pixels; what Discord does not tell is None.
    """

    name: str
    url: str = field(repr=False)  # signed: good for a time, and for whoever has it
    size: int | None = None
    width: int | None = None
    height: int | None = None
    copied: bool = False  # it lies at the bot's own status message


@dataclass(frozen=True, slots=True)
class Route:
    """The way back to where a job was asked for; fixed at the request."""

    channel_id: int
    account_server_id: int  # 0 in direct messages and where only the member installed the bot
    application_id: int
    interaction_token: str | None = field(repr=False)  # None once it is erased
    token_expires_at: datetime
    status_message_id: int | None = None  # the reply "queued"; None until Discord has confirmed it
    postable: bool = True  # the bot may post there; else the answer itself becomes the result
    private: bool = False  # nobody else may see it
    guild_id: int | None = None  # the server in which the channel is, also where we are no member
    parent_id: int | None = None  # the channel of a public thread

    def token_at(self, now: datetime) -> str | None:
        """The interaction's token while Discord still honours it."""
        return self.interaction_token if now < self.token_expires_at else None

    @property
    def outlives_token(self) -> bool:
        """Whether the bot can still change its answer when the token has expired."""
        return self.postable and not self.private


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job that is not stored yet. `price` is in thousandths of a credit, for all pictures."""

    user_id: int
    route: Route
    request: GenerationRequest
    price: int
    created_at: datetime
    provider: str  # the key of the API that serves `request.model`
    inputs: tuple[Attachment, ...] = ()  # what `request.inputs` are the addresses of
    model_auto: bool = False  # by Easel: the member named none
    id: str = field(default_factory=new_job_id)


@dataclass(frozen=True, slots=True)
class Job:
    """A stored job. Amounts are in thousandths of a credit."""

    id: str
    status: JobStatus
    user_id: int
    route: Route
    request: GenerationRequest
    provider: str  # the key of the API that serves `request.model`
    price: int
    created_at: datetime
    submitted_at: datetime | None  # when the newest submit was begun
    running_at: datetime | None
    settled_at: datetime | None
    delivered_at: datetime | None
    result_message_id: int | None
    cancel_requested_at: datetime | None
    submit_after: datetime | None  # not to be claimed before
    reason: Reason | None
    cost: int | None
    estimated: bool  # the provider has not said what it charged; `cost` is the price
    deliver_after: datetime | None
    delivery_attempts: int  # so far
    delivery_started_at: datetime | None  # when the first of them began
    delivery_error: str | None = None  # of the last one
    inputs: tuple[Attachment, ...] = ()
    model_auto: bool = False  # by Easel: the member named none
    remark: str | None = None  # a sentence for the member, beside the reason
    overdue_at: datetime | None = None  # when pictures came of what had been given up
    final_status_sent: bool = False  # the member knows that the answer will not be changed any more


@dataclass(frozen=True, slots=True)
class Generation:
    """One piece of work at a provider."""

    id: int
    job_id: str
    remote_id: str
    state: JobStatus | None  # how it ended


class PictureKind(StrEnum):
    """Told by a file's first bytes, never by its name; the value is the file's ending."""

    PNG = "png"
    JPEG = "jpg"
    WEBP = "webp"
    GIF = "gif"  # known in order to be refused

    @property
    def media_type(self) -> str:
        return "image/jpeg" if self is PictureKind.JPEG else f"image/{self}"


@dataclass(frozen=True, slots=True)
class Picture:
    """Bytes that are kept once, by their SHA-256 (hexadecimal). `size` is in bytes."""

    sha256: str
    kind: PictureKind
    size: int
    width: int
    height: int
