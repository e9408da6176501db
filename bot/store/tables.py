"""The tables. Amounts are thousandths of a credit, times are UTC, ids are Discord's snowflakes.

A change needs a migration: a test compares these tables with a migrated file.
"""

from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    literal_column,
    text,
    true,
)

from bot.jobs import JobStatus, Notify, plain
from bot.ledger import EntryKind
from bot.rights import Subject

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Utc(TypeDecorator[datetime]):
    """Aware UTC in, aware UTC out; SQLite stores no time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


class Plain(TypeDecorator[str]):
    """Text without NUL, which PostgreSQL refuses and no message shows."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return value if value is None else plain(value)


class PlainText(Plain):
    """The same without a limit."""

    impl = Text
    cache_ok = True


# SQLite numbers rows only if the key has the type INTEGER.
RowId = BigInteger().with_variant(Integer, "sqlite")


def one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    """Return a check that allows just the members of an enum."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def partial_index(name: str, *columns: str, where: str) -> Index:
    """Return an index of the rows that `where` is true for."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


jobs = Table(
    "jobs",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("status", String(16), nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("account_server_id", BigInteger, nullable=False),
    Column("channel_id", BigInteger, nullable=False),
    Column("application_id", BigInteger, nullable=False),
    Column("interaction_token", Text),  # erased when Discord no longer accepts it
    Column("token_expires_at", Utc, nullable=False),
    Column("status_message_id", BigInteger),  # the reply "queued"; without it no claim
    Column("model", String(32), nullable=False),
    Column("provider", String(32), nullable=False, server_default=""),
    Column("model_auto", Boolean, nullable=False, server_default=false()),  # by Easel
    Column("prompt", PlainText, nullable=False),
    Column("options", JSON, nullable=False),
    Column("price", BigInteger, nullable=False),
    Column("created_at", Utc, nullable=False),
    Column("submit_after", Utc),
    Column("submitted_at", Utc),
    Column("lease_until", Utc),  # afterwards no task works on the job
    Column("running_at", Utc),
    Column("generation_ms", Integer),
    Column("cancel_requested_at", Utc),
    Column("settled_at", Utc),
    Column("reason", String(32)),
    Column("cost", BigInteger),
    Column("estimated", Boolean, nullable=False, default=False),
    Column("delivery_attempts", Integer, nullable=False, default=0),
    Column("delivery_started_at", Utc),
    Column("deliver_after", Utc),
    Column("delivery_error", PlainText),  # of the last attempt
    Column("delivered_at", Utc),
    Column("result_message_id", BigInteger),
    Column("postable", Boolean, nullable=False, server_default=true()),
    Column("private", Boolean, nullable=False, server_default=false()),
    Column("guild_id", BigInteger),
    Column("parent_id", BigInteger),
    Column("inputs", JSON, nullable=False, server_default="[]"),  # attachments, in their order
    Column("input_bytes", BigInteger, nullable=False, server_default="0"),  # reported, then stored
    Column("inputs_stored", Boolean, nullable=False, server_default=true()),
    Column("remark", PlainText),
    Column("final_status_sent", Boolean, nullable=False, server_default=false()),
    Column("overdue_at", Utc),  # when pictures arrived after JOB_TIMEOUT
    Column("origin_id", BigInteger),  # the interaction; null for jobs before revision 0006
    Column("secret", Integer),  # the id of a component of the result; null as above
    Column("owner", String(32)),  # the process that works on the job until `lease_until`
    Column("epoch", Integer, nullable=False, server_default="0"),  # leases of the job so far
    Column("upload_limit", BigInteger),  # bytes of a file in the channel's server
    Column("source_job_id", String(16)),  # the job whose result, or request, this one begins with
    Column("expanded_prompt", PlainText),  # that was drawn, if the provider reports that
    Column("hidden_at", Utc),  # the result was deleted: nobody but the requester sees the job
    Column("spoiler", Boolean, nullable=False, server_default=false()),
    Column("notify", String(8), nullable=False, server_default=Notify.PING),
    Column("reply_to_id", BigInteger),  # the message to which the result replies
    Column("result_channel_id", BigInteger),  # null before revision 0010: `channel_id`
    Column("slow_shown", Boolean, nullable=False, server_default=false()),
    Column("canceled_by", BigInteger),  # the moderator who stopped the job; null for the requester
    # Of the requester in the server when the job was requested: a failover needs no roles.
    Column("allowance", BigInteger),
    Column("allowance_period", String(8)),
    Column("allowed_models", JSON(none_as_null=True)),  # keys; null: every model
    Column("granted", BigInteger, nullable=False, server_default="0"),  # of the price, by grants
    Column("locale", String(8)),  # of the requester, as Discord names languages
    one_of("status", JobStatus),
    Index("ix_jobs_status_delivered_at", "status", "delivered_at"),
    Index("ix_jobs_user_id_submitted_at", "user_id", "submitted_at"),
    Index("ix_jobs_user_id_created_at", "user_id", "created_at"),
    Index("ix_jobs_user_id_status", "user_id", "status"),
    Index("ix_jobs_model_settled_at", "model", "settled_at"),
    # With all columns of the sums in a server's report.
    Index(
        "ix_jobs_account_server_id_created_at",
        *("account_server_id", "created_at", "user_id", "model", "cost"),
    ),
    Index("ix_jobs_origin_id", "origin_id", unique=True),
    partial_index("ix_jobs_canceled_by", "canceled_by", where="canceled_by IS NOT NULL"),
    partial_index("ix_jobs_tokens", "token_expires_at", where="interaction_token IS NOT NULL"),
    partial_index("ix_jobs_source_job_id", "source_job_id", where="source_job_id IS NOT NULL"),
    partial_index(
        "ix_jobs_result_message_id", "result_message_id", where="result_message_id IS NOT NULL"
    ),
)

generations = Table(
    "generations",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("job_id", ForeignKey("jobs.id"), nullable=False, index=True),
    Column("provider", String(32), nullable=False),
    Column("remote_id", Plain(200), nullable=False),
    Column("state", String(16)),  # the end: succeeded, failed, canceled; null while open
    UniqueConstraint("provider", "remote_id"),
    partial_index("ix_generations_open", "job_id", where="state IS NULL"),
)

pictures = Table(
    "pictures",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("size", BigInteger, nullable=False),  # bytes
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("created_at", Utc, nullable=False),
)

reduced_copies = Table(  # by which a copy is recognised that a member has saved
    "reduced_copies",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("original", String(64), nullable=False, index=True),  # the hash of the picture
)

job_pictures = Table(
    "job_pictures",
    metadata,
    Column("job_id", ForeignKey("jobs.id"), primary_key=True),
    Column("role", String(8), primary_key=True),  # input, output
    Column("position", Integer, primary_key=True),
    Column("sha256", ForeignKey("pictures.sha256"), nullable=False, index=True),
    Column("author_id", BigInteger),  # the other member in whose message an input was
    partial_index("ix_job_pictures_author_id", "author_id", where="author_id IS NOT NULL"),
)

favourites = Table(
    "favourites",
    metadata,
    Column("user_id", BigInteger, primary_key=True),
    Column("job_id", ForeignKey("jobs.id"), primary_key=True),
    Column("created_at", Utc, nullable=False),
    Index("ix_favourites_user_id_created_at", "user_id", "created_at"),
    Index("ix_favourites_job_id", "job_id"),
)

preferences = Table(  # a member's own choices, for all servers
    "preferences",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("notify", String(8), nullable=False),
    Column("changed_at", Utc),  # null before revision 0013
)

ledger = Table(
    "ledger",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("job_id", ForeignKey("jobs.id")),
    Column("user_id", BigInteger, nullable=False),
    Column("server_id", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("granted", BigInteger, nullable=False, server_default="0"),  # the part by grants
    Column("provider", String(32), nullable=False, server_default=""),
    Column("counted_at", Utc, nullable=False),  # the time of the job's hold
    # SQLite stores a longer one, too: a remote id (200) and the words before.
    Column(
        "reason",
        Plain(200).with_variant(Plain(300), "postgresql"),
        nullable=False,
        default="",
    ),
    Column("details", JSON, nullable=False),
    Column("created_at", Utc, nullable=False),
    one_of("kind", EntryKind),
    # Hold, release and capture carry no reason: a job has one of each. Adjustments carry one.
    UniqueConstraint("job_id", "kind", "reason"),
    # With all columns that a quota reads: a member may have thousands of entries in a month.
    Index(
        "ix_ledger_user_id_counted_at",
        *("user_id", "counted_at", "server_id", "kind", "amount", "granted"),
    ),
    Index("ix_ledger_counted_at", "counted_at"),
    Index("ix_ledger_server_id_counted_at", "server_id", "counted_at"),
    partial_index("ix_ledger_losses", "created_at", where="kind = 'loss'"),
    partial_index("ix_ledger_granted", "user_id", "server_id", "granted", where="granted <> 0"),
    # With all columns of the entries in a server's report that are in no job's cost.
    partial_index(
        "ix_ledger_beside_costs",
        *("server_id", "counted_at", "user_id", "kind", "job_id", "amount"),
        where="kind IN ('adjustment', 'grant', 'loss')",
    ),
    sqlite_autoincrement=True,  # an id is never used again, so that a deleted entry leaves a gap
)

# For comparisons with ledger.c.kind: with a parameter SQLite would prepare the statement again at
# each execution, because whether it may use ix_ledger_losses would depend on the value.
LOSS: ColumnElement[str] = literal_column("'loss'")
# Of ix_ledger_beside_costs, likewise.
BESIDE_COSTS = ledger.c.kind.in_(
    [literal_column(f"'{each}'") for each in ("adjustment", "grant", "loss")]
)

sums = Table(  # of the ledger without grants, for each quarter of an hour; written by a trigger
    "sums",
    metadata,
    Column("scope", String(40), primary_key=True),  # bot, provider:<key>, server:<id>
    Column("begins_at", Utc, primary_key=True),
    Column("amount", BigInteger, nullable=False),
)

servers = Table(  # the choices of managers: bot.rights.ServerSettings
    "servers",
    metadata,
    Column("server_id", BigInteger, primary_key=True, autoincrement=False),
    Column("settings", JSON, nullable=False),
)

rights = Table(  # bot.rights.Rights of a subject
    "rights",
    metadata,
    Column("server_id", BigInteger, primary_key=True, autoincrement=False),
    Column("subject", String(8), primary_key=True),
    Column("name", String(32), primary_key=True),  # an id, the name of a tier, empty: the default
    Column("rights", JSON, nullable=False),
    one_of("subject", Subject),
)

changes = Table(  # by managers: append-only, like the ledger
    "changes",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("server_id", BigInteger, nullable=False),
    Column("user_id", BigInteger, nullable=False),  # who made the change
    Column("created_at", Utc, nullable=False),
    Column("subject", Plain(100), nullable=False),  # what was changed
    Column("before", PlainText, nullable=False),
    Column("after", PlainText, nullable=False),
    Index("ix_changes_server_id", "server_id", "id"),
)

erasures = Table(  # deletions that have been requested, until they have ended
    "erasures",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("requested_at", Utc, nullable=False),  # later data stays
    Column("with_results", Boolean, nullable=False),  # whether posted results are removed too
    Column("total", Integer, nullable=False),  # jobs at that time
    Column("erased", Integer, nullable=False),  # jobs by now
)

warnings = Table(  # that were given once in a period
    "warnings",
    metadata,
    Column("scope", String(60), primary_key=True),
    Column("begins_at", Utc, primary_key=True),
)

notes = Table(  # small facts that survive a restart, such as the registered commands
    "notes",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", PlainText, nullable=False),
)

processes = Table(  # that share this database
    "processes",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("started_at", Utc, nullable=False),
    Column("seen_at", Utc, nullable=False),  # renewed while the process lives
)

circuits = Table(  # the last change of each provider's circuit, for the other processes
    "circuits",
    metadata,
    Column("provider", String(32), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("outage_since", Utc),
    Column("probe_at", Utc),
    Column("openings", Integer, nullable=False),
    Column("changed_by", String(32), nullable=False),
)
