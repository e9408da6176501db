"""Everything that is stored about one member, read in pages for an export. Statements are built
once.

The rows are those of the member's id and of the pseudonym. A page is a view of its own, so that
none is open while files are written or sent.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Select,
    String,
    and_,
    bindparam,
    case,
    exists,
    func,
    not_,
    or_,
    select,
    tuple_,
)

from bot.rights import Subject
from bot.store.database import Database
from bot.store.identities import ids_of, of_member
from bot.store.pictures import Role
from bot.store.tables import (
    changes,
    erasures,
    favourites,
    generations,
    job_pictures,
    jobs,
    ledger,
    pictures,
    preferences,
    rights,
    warnings,
)

StoredRow = dict[str, Any]

PAGE = 200  # rows
# Not exported: what opens something, what is of the processes, and the ids of members. Of a
# moderator who stopped a job, the export says that there was one.
HIDDEN = frozenset(
    {
        *("user_id", "interaction_token", "secret", "canceled_by"),
        *("owner", "epoch", "lease_until"),
    }
)

_member = bindparam("member", type_=BigInteger)


def _text(name: str) -> ColumnElement[str]:
    return bindparam(name, type_=String)


class Listing:
    """The rows of a member in one table, newest first by the keys."""

    def __init__(
        self,
        condition: ColumnElement[bool],
        columns: Iterable[ColumnElement[Any]],
        keys: Sequence[Column[Any]],
    ) -> None:
        self.condition = condition
        self._keys = keys
        newest_first = [key.desc() for key in keys]
        self._first = select(*columns).where(condition).order_by(*newest_first).limit(PAGE)

    def after(self, last: StoredRow | None) -> Select[Any]:
        """Return the statement of the page after a row, or of the first page."""
        if last is None:
            return self._first
        place = tuple(last[key.name] for key in self._keys)
        return self._first.where(tuple_(*self._keys) < place)


def _shown(columns: Iterable[Column[Any]]) -> list[Column[Any]]:
    return [each for each in columns if each.name not in HIDDEN]


OWN_JOBS = jobs.c.user_id == _member
JOB_KEYS = (jobs.c.created_at, jobs.c.id)
REQUESTS = Listing(
    OWN_JOBS,
    [*_shown(jobs.c), jobs.c.canceled_by.is_not(None).label("canceled_by_moderator")],
    JOB_KEYS,
)
JOB_IDS = Listing(OWN_JOBS, JOB_KEYS, JOB_KEYS)
ENTRIES = Listing(ledger.c.user_id == _member, _shown(ledger.c), (ledger.c.counted_at, ledger.c.id))
FAVOURITES = Listing(
    favourites.c.user_id == _member,
    _shown(favourites.c),
    (favourites.c.created_at, favourites.c.job_id),
)
RIGHTS = Listing(
    and_(rights.c.subject == Subject.MEMBER, rights.c.name == _text("name")),
    [rights.c.server_id, rights.c.rights],
    [rights.c.server_id],
)
# Those that the member made, and those that managers made of the member's rights and credits.
CHANGES = Listing(
    or_(changes.c.user_id == _member, changes.c.subject.like(_text("mention"))),
    [*_shown(changes.c), (changes.c.user_id == _member).label("by_you")],
    [changes.c.id],
)
WARNINGS = Listing(
    or_(warnings.c.scope == _text("month"), warnings.c.scope.like(_text("allowance"))),
    list(warnings.c),
    (warnings.c.scope, warnings.c.begins_at),
)
STOPPED = Listing(
    jobs.c.canceled_by == _member,
    [jobs.c.id, jobs.c.created_at, jobs.c.cancel_requested_at],
    JOB_KEYS,
)
PREFERENCES = select(*_shown(preferences.c)).where(preferences.c.user_id == _member)
ERASURE = select(*_shown(erasures.c)).where(erasures.c.user_id == _member)
# A picture belongs to the member who used the picture first, as in bot.store.erasure.
_uses, _users = job_pictures.alias(), jobs.alias()
_of_jobs = _uses.join(_users, _users.c.id == _uses.c.job_id)
_same = _uses.c.sha256 == job_pictures.c.sha256
_own_job = of_member(_users.c.user_id)
_own = of_member(func.coalesce(_uses.c.author_id, _users.c.user_id))


def _first_use(condition: ColumnElement[bool]) -> ColumnElement[Any]:
    statement = select(func.min(_users.c.created_at)).select_from(_of_jobs).where(_same, condition)
    return statement.correlate(job_pictures).scalar_subquery()


def _any_use(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    statement = select(_uses.c.job_id).select_from(_of_jobs).where(_same, condition)
    return statement.correlate(job_pictures, jobs).exists()


def _flag(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return a condition as a column; false where it compares with nothing."""
    return case((condition, True), else_=False)


# In messages of the member, and used by others. `own` are those of own jobs too.
TAKEN = Listing(
    and_(
        job_pictures.c.author_id == _member,
        jobs.c.id == job_pictures.c.job_id,
        jobs.c.user_id != _member,
        pictures.c.sha256 == job_pictures.c.sha256,
    ),
    [
        *(jobs.c.created_at, job_pictures.c.job_id, job_pictures.c.position),
        *(each for each in pictures.c if each.name != "created_at"),
        _flag(_any_use(_users.c.user_id == _member)).label("own"),
    ],
    (job_pictures.c.sha256, job_pictures.c.job_id, job_pictures.c.position),
)
LISTINGS = (REQUESTS, ENTRIES, FAVOURITES, RIGHTS, CHANGES, WARNINGS, STOPPED, TAKEN)

HAS_DATA = select(
    or_(
        exists().where(preferences.c.user_id == _member),
        exists().where(erasures.c.user_id == _member),
        *(exists().where(each.condition) for each in LISTINGS),
    )
)

_foreign = and_(
    job_pictures.c.role == Role.INPUT,
    not_(_any_use(and_(_own, _uses.c.role == Role.OUTPUT))),
    or_(
        not_(of_member(func.coalesce(job_pictures.c.author_id, jobs.c.user_id))),
        _first_use(not_(_own)) < _first_use(_own),
    ),
)
_later = or_(
    _users.c.created_at > jobs.c.created_at,
    and_(_users.c.created_at == jobs.c.created_at, _users.c.id > jobs.c.id),
)
PICTURES = (
    select(
        *(job_pictures.c.job_id, job_pictures.c.role, job_pictures.c.position),
        *(pictures.c.sha256, pictures.c.kind, pictures.c.size, pictures.c.width, pictures.c.height),
        _flag(_foreign).label("foreign"),
        _flag(_any_use(and_(_own_job, _later))).label("again"),
    )
    .select_from(
        job_pictures.join(jobs, jobs.c.id == job_pictures.c.job_id).join(
            pictures, pictures.c.sha256 == job_pictures.c.sha256
        )
    )
    .where(job_pictures.c.job_id.in_(bindparam("jobs", expanding=True)))
    .order_by(job_pictures.c.job_id, job_pictures.c.role.desc(), job_pictures.c.position)
)
_distinct = (
    select(pictures.c.sha256, pictures.c.size)
    .join(job_pictures, job_pictures.c.sha256 == pictures.c.sha256)
    .join(jobs, jobs.c.id == job_pictures.c.job_id)
    .where(of_member(jobs.c.user_id))
    .distinct()
    .subquery()
)
BYTES = select(func.coalesce(func.sum(_distinct.c.size), 0))
GENERATIONS = (
    select(*(each for each in generations.c if each.name != "id"))
    .where(generations.c.job_id.in_(bindparam("jobs", expanding=True)))
    .order_by(generations.c.id)
)


class MemberRows:
    """The rows of one member, by the names of their columns."""

    def __init__(self, database: Database, user_id: int) -> None:
        self._database = database
        self.user_id = user_id

    async def exist(self) -> bool:
        """Return whether anything is stored about the member."""
        for each in await self._identities():
            async with self._database.reading() as view:
                if (await view.execute(HAS_DATA, _values_of(each))).scalar_one():
                    return True
        return False

    async def pages(self, listing: Listing) -> AsyncIterator[list[StoredRow]]:
        """Yield the rows of a table, newest first."""
        for each in await self._identities():
            last: StoredRow | None = None
            while rows := await self._read(listing.after(last), _values_of(each)):
                yield rows
                last = rows[-1]

    async def one(self, statement: Select[Any]) -> StoredRow | None:
        """Return the row of PREFERENCES, or of ERASURE."""
        rows = await self._read(statement, {"member": self.user_id})
        return rows[0] if rows else None

    async def pictures_of(self, job_ids: Sequence[str]) -> list[StoredRow]:
        """Return the pictures of some of the member's jobs.

        `foreign` says that another member used the picture first, `again` that a later job of the
        member has it too.
        """
        async with self._database.reading() as view:
            values = {**ids_of(view, self.user_id), "jobs": list(job_ids)}
            return [row._asdict() for row in await view.execute(PICTURES, values)]

    async def generations_of(self, job_ids: Sequence[str]) -> list[StoredRow]:
        return await self._read(GENERATIONS, {"jobs": list(job_ids)})

    async def picture_bytes(self) -> int:
        """Return the size of all pictures together, stored or not any more."""
        async with self._database.reading() as view:
            found = await view.execute(BYTES, ids_of(view, self.user_id))
            return int(found.scalar_one())

    async def _identities(self) -> list[int]:
        """Return the ids under which there may be rows: the member's, then the pseudonym."""
        async with self._database.reading() as view:
            return list(dict.fromkeys(ids_of(view, self.user_id).values()))

    async def _read(self, statement: Select[Any], values: dict[str, object]) -> list[StoredRow]:
        async with self._database.reading() as view:
            return [row._asdict() for row in await view.execute(statement, values)]


def _values_of(identity: int) -> dict[str, object]:
    """Return the values of a listing's parameters: scopes as bot.store.holds writes them."""
    return {
        "member": identity,
        "name": str(identity),
        "mention": f"%<@{identity}>%",
        "month": f"month:{identity}",
        "allowance": f"member:%:{identity}",
    }
