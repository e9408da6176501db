"""A job: one request of one member, from `queued` until it is settled and delivered."""

import base64
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from bot.errors import Reason
from bot.rights import Allowance

JOB_ID_PATTERN = "[a-z2-7]{16}"
SECRETS = range(2**20, 2**31 - 1, 2)  # above the ids that Discord gives to components
TOKEN_LIFE = timedelta(minutes=15)  # Discord's interaction tokens (discord.md, Limits)
# Before its expiry, time for a last request with a token.
TOKEN_MARGIN = timedelta(minutes=2)


def new_job_id() -> str:
    """Return 16 random base32 characters, which fit a nonce (25), a custom_id and a file name."""
    return base64.b32encode(secrets.token_bytes(10)).decode().lower()


def new_secret() -> int:
    """Return a random even number: the id of the component by which a result is recognised.

    The next number is that of an overdue result.
    """
    return secrets.choice(SECRETS)


def plain(text: str) -> str:
    """Return a text without NUL and halves of surrogate pairs.

    PostgreSQL refuses NUL, both databases refuse the halves, and no message shows either.
    """
    return text.replace("\0", "").encode(errors="ignore").decode()


class JobStatus(StrEnum):
    QUEUED = "queued"  # waits for a slot at the provider
    SUBMITTING = "submitting"  # the creating request is, or was, on the way
    RUNNING = "running"  # taken by the provider; the remote ids are stored
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
    """Return the statuses from which a job may move to `target`; SQL guards every move by them."""
    return frozenset(status for status, targets in NEXT.items() if target in targets)


class Notify(StrEnum):
    """The manner in which the result reaches the requester, as chosen by `/my notify`."""

    PING = "ping"  # a message in the channel, which pings
    SILENT = "silent"  # the same without a ping
    DIRECT = "direct"  # a message in the channel without a ping, and a direct message with a link
    PRIVATE = "private"  # a private job, unless the command says otherwise


Option = str | int | bool


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """The request of a member. `options` holds only given ones, by the names of the commands."""

    model: str  # the model's key, as members type it
    prompt: str
    options: Mapping[str, Option] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()  # addresses that need no credentials

    @property
    def count(self) -> int:
        return int(self.options.get("count", 1))

    @property
    def texts(self) -> tuple[str, ...]:
        """The member's own words, which no log may hold."""
        return (self.prompt, str(self.options.get("negative_prompt", "")))


@dataclass(frozen=True, slots=True)
class Attachment:
    """A picture attached at Discord.

    `size` is in bytes, `width` and `height` in pixels; None if Discord does not report them.
    """

    name: str
    url: str = field(repr=False)  # signed: valid for a time, for everybody
    size: int | None = None
    width: int | None = None
    height: int | None = None
    copied: bool = False  # the address is that of a copy, uploaded again by the bot
    sha256: str | None = None  # of a stored picture: nothing is downloaded, and `url` may be empty
    author_id: int | None = None  # the other member in whose message it was


def attached_bytes(attachments: Iterable[Attachment]) -> int:
    """Return the bytes that attachments add to the store: those of stored pictures add none."""
    return sum(each.size or 0 for each in attachments if each.sha256 is None)


@dataclass(frozen=True, slots=True)
class Route:
    """The channel and the interaction of a request: fixed then, and used for the delivery."""

    channel_id: int
    account_server_id: int  # 0 in direct messages and where only the member installed the bot
    application_id: int
    interaction_token: str | None = field(repr=False)  # None after the erasure, and for a message
    token_expires_at: datetime  # the time of the request, if a message made the request
    status_message_id: int | None = None  # the reply "queued"; None until Discord has confirmed it
    postable: bool = True  # the bot may post there; else the reply becomes the result
    private: bool = False  # visible to the member alone
    guild_id: int | None = None  # of the channel, also if the bot is not in the server
    parent_id: int | None = None  # the channel of a public thread
    upload_limit: int | None = None  # bytes of a file there; None if that is unknown
    reply_to_id: int | None = None  # the message to which the result replies
    notify: Notify = Notify.PING

    def token_at(self, now: datetime) -> str | None:
        """Return the interaction's token while Discord accepts it."""
        return self.interaction_token if now < self.token_expires_at else None


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job before it is stored. `price` is in thousandths of a credit, for all pictures."""

    user_id: int
    route: Route
    request: GenerationRequest
    price: int
    created_at: datetime
    provider: str  # the key of the API that serves `request.model`
    inputs: tuple[Attachment, ...] = ()  # in the order of `request.inputs`
    model_auto: bool = False  # chosen by Easel: the member named none
    origin_id: int | None = None  # the interaction or message: each has one job at most
    source_job_id: str | None = None  # the job whose result, or request, this one begins with
    allowance: Allowance | None = None  # of the requester in the server at this moment
    allowed_models: frozenset[str] | None = None  # by the same rights; None for every model
    locale: str | None = None  # of the requester, as Discord names languages
    id: str = field(default_factory=new_job_id)
    secret: int = field(default_factory=new_secret, repr=False)


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
    submitted_at: datetime | None = None  # the start of the newest submit
    running_at: datetime | None = None
    generation_ms: int | None = None  # from then to the last end, as far as it is known
    settled_at: datetime | None = None
    delivered_at: datetime | None = None
    result_message_id: int | None = None
    cancel_requested_at: datetime | None = None
    submit_after: datetime | None = None  # no claim before
    reason: Reason | None = None
    cost: int | None = None
    estimated: bool = False  # `cost` is the price: the provider has not reported the cost
    deliver_after: datetime | None = None
    delivery_attempts: int = 0  # so far
    delivery_started_at: datetime | None = None  # when the first of them began
    delivery_error: str | None = None  # of the last attempt
    inputs: tuple[Attachment, ...] = ()
    model_auto: bool = False  # chosen by Easel: the member named none
    remark: str | None = None  # a sentence for the member, beside the reason
    overdue_at: datetime | None = None  # when pictures arrived after JOB_TIMEOUT
    final_status_sent: bool = False  # the status message will not be edited any more
    secret: int | None = field(default=None, repr=False)  # None for a job of an older version
    epoch: int = 0  # the number of the lease under which a process works on the job
    source_job_id: str | None = None  # the job whose result, or request, this one begins with
    expanded_prompt: str | None = None  # that was drawn, if the provider reports that
    hidden_at: datetime | None = None  # when the result was deleted
    spoiler: bool = False
    result_channel_id: int | None = None  # None for a job of an older version
    canceled_by: int | None = None  # the moderator who stopped the job; None for the requester
    slow_shown: bool = False  # the status message has said that the job is slower than usual
    allowance: Allowance | None = None  # of the requester in the server at that time
    allowed_models: frozenset[str] | None = None  # by the same rights; None for every model
    granted: int = 0  # the part of `price` that grants pay
    locale: str | None = None  # of the requester, as Discord names languages
    source: "Job | None" = field(default=None, repr=False)  # that of `source_job_id`, if loaded
    origin_id: int | None = None  # the interaction or message; None for a job of an older version

    @property
    def sent_at(self) -> datetime:
        """When the creating request was sent, at the earliest."""
        return self.submitted_at or self.created_at

    @property
    def of_message(self) -> bool:
        """True if a message made the request: no token exists, and the bot itself posts the status
        message. A private one was sent in direct messages."""
        # Nothing that is seen by others may follow from a wrong clock alone.
        replies = self.route.reply_to_id is not None
        return replies and self.route.token_expires_at <= self.created_at

    @property
    def outlives_token(self) -> bool:
        """True if the bot can edit the status message without the token of an interaction."""
        return self.of_message or (self.route.postable and not self.route.private)

    @property
    def seen_by_others(self) -> bool:
        """True if the status message is not ephemeral."""
        return self.of_message or not self.route.private

    @property
    def read_alone(self) -> bool:
        """True if nobody but the requester reads the status message: ephemeral, or sent in direct
        messages with the bot, which are the only place without a server that the bot posts to."""
        route = self.route
        direct = route.postable and route.guild_id is None and not route.account_server_id
        return direct or not self.seen_by_others

    @property
    def prompt_removed(self) -> bool:
        """True if the member's words are not stored any more; no request is without a prompt."""
        return not self.request.prompt

    @property
    def texts(self) -> tuple[str, ...]:
        """The member's words and those that a provider made of them, which no log may hold."""
        return (*self.request.texts, self.expanded_prompt or "")

    @property
    def result_mark(self) -> int | None:
        """The id of a component that the result has, and no other message."""
        return None if self.secret is None else self.secret + bool(self.overdue_at)

    @property
    def result_channel(self) -> int:
        """The channel in which members see the result; 0 if nobody but the requester does."""
        if self.result_channel_id is not None:
            return self.result_channel_id
        return 0 if self.route.private else self.route.channel_id

    @property
    def posts_to(self) -> int | None:
        """The channel that gets a message for the result; None if the reply becomes the result."""
        if not self.route.postable or self.status is JobStatus.CANCELED:
            return None
        if not self.seen_by_others:
            return None
        return self.route.channel_id


@dataclass(frozen=True, slots=True)
class Generation:
    """A piece of work at a provider."""

    id: int
    job_id: str
    remote_id: str
    state: JobStatus | None  # the end; None while open


class PictureKind(StrEnum):
    """The kind of a file, by the first bytes and never by the name; the value is the suffix."""

    PNG = "png"
    JPEG = "jpg"
    WEBP = "webp"
    GIF = "gif"  # recognised in order to be refused

    @property
    def media_type(self) -> str:
        return "image/jpeg" if self is PictureKind.JPEG else f"image/{self}"


@dataclass(frozen=True, slots=True)
class Picture:
    """Bytes stored once, by their SHA-256 (hexadecimal). `size` is in bytes."""

    sha256: str
    kind: PictureKind
    size: int
    width: int
    height: int
