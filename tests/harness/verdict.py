"""What became of every request in the end: lost, doubled, in doubt, and whether the money is right.

Told from outside: by what members see at Discord, by what the image APIs were asked, have made
and have charged, and by the bot's rows and log. Requests are told apart by their jobs' ids, and
pictures by their bytes, for prompts may be the same.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bot.errors import Reason
from bot.jobs import Job, JobStatus
from bot.ledger import balance
from bot.sandbox.discord import Channel, Message
from bot.store import generations, ledger
from bot.store.audit import Finding, verify
from bot.store.database import Database, Transaction
from bot.worker.recovery import CREATED_WITHIN
from tests.harness.crash import Arena, Asked
from tests.harness.evidence import (
    CANCELED,
    Gallery,
    Made,
    Posted,
    files,
    jobs_named,
    made,
    others_see,
    posted,
    results,
    wish_of_asked,
)

DOUBT_TOLD: Final = "the outcome is unknown"  # to the member
DOUBT_LOGGED: Final = "outcome of a submit unknown"  # to the operator
# Errors in the log that are the stand-ins' doing, and told as they should be; the last are those
# that Discord, or the connection to it, has caused.
EXPECTED: Final = re.compile(
    rf"{DOUBT_LOGGED}|(oxen|skills) is down"
    r"|(interaction \d+ failed|connection to Discord failed, reconnecting): "
    r"(discord\.errors\.|aiohttp\.|TimeoutError|ConnectionResetError)"
)
# A generation that was made so many seconds before its search ended was there at a look of it.
FINDABLE: Final = 3.0


@dataclass
class Verdict:
    """Lists have a line for each request that is wrong; amounts are thousandths of a credit."""

    requests: int = 0
    twins: int = 0  # of them, those whose prompt another had
    fates: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)  # why jobs failed
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)  # shown, and not this request's
    leaked: list[str] = field(default_factory=list)  # private, and seen by others
    undelivered: list[str] = field(default_factory=list)  # shown or not, the bot goes on trying
    doubtful: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)  # of the doubtful: what was there to adopt
    estimated: list[str] = field(default_factory=list)  # charged by the price: no cost was told
    difference: int = 0  # of what the APIs charged and the ledger has, these two apart
    doubtful_charged: int = 0
    creating: int = 0  # requests that create
    findings: Sequence[Finding] = ()  # of `easel ledger verify`
    violations: list[str] = field(default_factory=list)  # what no client may do
    errors: Counter[str] = field(default_factory=Counter)  # in the log, and not to be expected
    unreached: list[str] = field(default_factory=list)  # instants that a kill did not come to

    @property
    def wrong(self) -> Mapping[str, object]:
        """What must not be, by its name; nothing of it where all is well."""
        each: Mapping[str, object] = {
            "lost": self.lost,
            "doubled": self.doubled,
            "foreign": self.foreign,
            "leaked": self.leaked,
            "undelivered": self.undelivered,
            "missed": self.missed,
            "difference": self.difference,
            "findings": self.findings,
            "violations": self.violations,
            "errors": self.errors,
            "unreached": self.unreached,
        }
        return {name: what for name, what in each.items() if what}

    @property
    def good(self) -> bool:
        return not self.wrong


@dataclass(frozen=True, slots=True)
class Row:
    job: Job
    booked: int  # what its member paid, by the ledger
    made: Sequence[Made]  # what the bot holds for this job's generations


@dataclass(frozen=True, eq=False)
class Case:
    """One request, and all that there is of it."""

    asked: Asked
    rows: Sequence[Row]
    results: Sequence[Message]  # pictures, or why there are none
    doubt_logged: bool

    @property
    def job(self) -> Job | None:
        return self.rows[0].job if self.rows else None

    @property
    def answered(self) -> bool:
        """Whether its member was told that it was taken."""
        message = self.asked.interaction.message
        return message is not None and self.asked.prompt in message.text()

    @property
    def doubtful(self) -> bool:
        job = self.job
        return job is not None and job.reason is Reason.DOUBTFUL and job.status is JobStatus.FAILED

    def __str__(self) -> str:
        job = self.job
        model = job.request.model if job else self.asked.model
        return f"{self.asked.prompt} ({model}, job {job.id if job else None})"


async def judge(arena: Arena, *, unreached: Sequence[str] = ()) -> Verdict:
    """Look when everything has settled."""
    verdict = Verdict(len(arena.asked), unreached=list(unreached))
    verdict.violations = _violations(arena)
    verdict.errors = _errors(arena)
    async with Database(arena.database) as database, database.reading() as view:
        verdict.findings = (await verify(view)).findings
        rows = await _rows(arena, view, verdict)
    cases = _cases(arena, rows, verdict)
    gallery = Gallery(arena)
    for case in cases:
        _look(case, verdict, arena, gallery)
    verdict.leaked += _leaks(arena, cases, gallery)
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.asked.prompt, []).append(case)
    verdict.twins = sum(len(group) for group in groups.values() if len(group) > 1)
    sent = posted(arena)
    verdict.creating = sum(len(each) for each in sent.values())
    for prompt, group in groups.items():
        verdict.doubled += _sent_too_often(group, sent.get(prompt, ()))
    _look_at_generations(arena, groups, verdict)
    return verdict


async def _rows(arena: Arena, view: Transaction, verdict: Verdict) -> list[Row]:
    known = made(arena)
    found = []
    for job in await arena.jobs(view):
        held = [each.remote_id for each in await generations.of_job(view, job.id)]
        own = [known[id] for id in held if id in known]
        verdict.foreign += [
            f"job {job.id} holds {id}: none made it" for id in held if id not in known
        ]
        found.append(Row(job, -balance(await ledger.entries_of(view, job.id)), own))
    return found


def _cases(arena: Arena, rows: Sequence[Row], verdict: Verdict) -> list[Case]:
    """Rows belong to the request whose answer they know; where that is not known, to the one
    with their token, or else to the next one before with their words."""
    of: dict[Asked, list[Row]] = {asked: [] for asked in arena.asked}
    by_message = {
        asked.interaction.message.id: asked for asked in arena.asked if asked.interaction.message
    }
    by_token = {asked.interaction.token: asked for asked in arena.asked}
    for row in sorted(rows, key=lambda row: row.job.route.status_message_id is None):
        route = row.job.route
        asked = by_message.get(route.status_message_id or 0) or by_token.get(
            route.interaction_token or ""
        )
        if asked := asked or _likely(row.job, [each for each in of if not of[each]]):
            of[asked].append(row)
        else:
            verdict.foreign.append(f"job {row.job.id} was asked for by nobody")
    ends = results(arena)
    doubts = {str(line.get("job")) for line in arena.log if DOUBT_LOGGED in str(line.get("event"))}
    cases = []
    for asked, own in of.items():
        ids = [row.job.id for row in own]
        keys: list[str | int] = [*ids, asked.interaction.id]
        found = [each for key in keys for each in ends.pop(key, [])]
        cases.append(Case(asked, own, found, not doubts.isdisjoint(ids)))
    verdict.foreign += [
        f"the result of no request ({key or 'without a job'}): {message.text()!r}"
        for key, messages in ends.items()
        for message in messages
    ]
    return cases


def _likely(job: Job, left: Iterable[Asked]) -> Asked | None:
    before = [
        asked
        for asked in left
        if asked.interaction.user.id == job.user_id
        and asked.prompt == job.request.prompt
        and asked.private == job.route.private
        and asked.interaction.created_at <= job.created_at.timestamp() + 1
    ]
    return max(before, key=lambda asked: asked.interaction.created_at, default=None)


def _look(case: Case, verdict: Verdict, arena: Arena, gallery: Gallery) -> None:
    if len(case.rows) > 1 or len(case.results) > 1:
        verdict.doubled.append(f"{case}: {len(case.rows)} jobs, {len(case.results)} results")
    fate, wrong = _fate(case, arena)
    verdict.fates[fate] += 1
    verdict.lost += [f"{case}: {fate}: {each}" for each in wrong]
    verdict.foreign += [f"{case}: {each}" for each in _foreign(case, gallery)]
    job = case.job
    if job is None:
        return
    if job.status.settled and job.delivered_at is None:
        verdict.undelivered.append(f"{case}: {job.status}, tried {job.delivery_attempts} times")
    if job.status is JobStatus.FAILED:
        verdict.reasons[str(job.reason)] += 1
    if case.doubtful and not case.doubt_logged:
        verdict.lost.append(f"{case}: the doubt is in no log")
    for row in case.rows:
        charged = sum(each.charged for each in row.made)
        if row.job.estimated and row.job.status is JobStatus.SUCCEEDED:
            verdict.estimated.append(
                f"{case}: booked {row.booked / 1000:g}, charged {charged / 1000:g}"
            )
            continue
        verdict.difference += abs(charged - row.booked)


def _fate(case: Case, arena: Arena) -> tuple[str, list[str]]:
    """How it ended, and what is wrong with that."""
    job = case.job
    if not case.answered:
        gone = job is None or job.status is JobStatus.CANCELED
        wrong = [] if gone else [f"the job is {job and job.status}"]
        return "never answered", wrong + ["has a result"] * len(case.results)
    if job is None:
        return "no job", ["answered, and not stored"]
    match job.status:
        case JobStatus.CANCELED:
            return "canceled", _canceled_wrong(case, arena)
        case JobStatus.SUCCEEDED | JobStatus.FAILED:
            return str(job.status), _result_wrong(case, job, arena)
    return str(job.status), ["not settled"]


def _canceled_wrong(case: Case, arena: Arena) -> list[str]:
    asked = case.asked
    message = asked.interaction.message
    said = message is not None and not message.deleted and CANCELED in message.text()
    silent = not said and not arena.refused.intersection(_ways(asked, arena)["answer"])
    says = message.text() if message is not None and not message.deleted else None
    return [f"its status says {says!r}"] * silent + ["has a result"] * len(case.results)


def _result_wrong(case: Case, job: Job, arena: Arena) -> list[str]:
    """More than one is not wrong here: it is doubled."""
    asked = case.asked
    ways = _ways(asked, arena)
    closed = [way for way, paths in ways.items() if arena.refused.intersection(paths)]
    if not case.results:
        return [] if len(closed) == len(ways) else ["no result"]
    result = case.results[0]
    text = result.text()
    if bool(files(result)) is not (job.status is JobStatus.SUCCEEDED):
        return ["the result is of another kind"]
    wrong = []
    way = _way_of(result, asked)
    before = list(ways)[: list(ways).index(way)] if way in ways else list(ways)
    if way not in ways or not set(before) <= set(closed):
        wrong.append(f"the result went by the {way}; definitely closed were: {closed}")
    if way != "answer" and asked.interaction.user.id not in result.pings:
        wrong.append("the result does not ping its member")
    if case.doubtful and DOUBT_TOLD not in text:
        wrong.append("the doubt was not told")
    return wrong


def _ways(asked: Asked, arena: Arena) -> dict[str, set[str]]:
    """By which a result may go, in their order, and the paths that they have at Discord."""
    interaction = asked.interaction
    message = interaction.message.id if interaction.message else 0
    hook = f"/api/v10/webhooks/{interaction.application_id}/{interaction.token}"
    answer = {"answer": {f"{hook}/messages/{message}"}}
    member = {"member": {_posting(arena.discord.dm_channel(interaction.user))}}
    if asked.private:
        return answer | member
    parent = interaction.channel.parent
    above = {"parent": {_posting(parent)}} if parent else {}
    return {"channel": {_posting(interaction.channel)}} | answer | above | member


def _posting(channel: Channel) -> str:
    return f"/api/v10/channels/{channel.id}/messages"


def _way_of(result: Message, asked: Asked) -> str:
    where = asked.interaction.channel
    if result is asked.interaction.message:
        return "answer"
    if result.interaction is not None:
        return "answer of another interaction"
    if result.channel is where and not asked.private:
        return "channel"
    if where.parent is not None and result.channel is where.parent:
        return "parent"
    direct = result.channel.guild is None and asked.interaction.user in result.channel.recipients
    return "member" if direct else f"channel {result.channel.name}"


def _foreign(case: Case, gallery: Gallery) -> Iterator[str]:
    """What is shown and is not what was made for this job, each picture of it once."""
    job = case.job
    if job is None:
        return
    own = case.rows[0].made
    for each in own:
        if not each.fits(case.asked, job.request.model):
            yield f"{each.id} was made for another request: {each.generation.body}"
    wanted = sorted(picture for each in own for picture in each.pictures)
    for result in case.results:
        if others := jobs_named(result) - {job.id}:
            yield f"its result names {others}"
        found = sorted(gallery.shown(result, own))
        if found and found != wanted:
            yield f"shows {found} where {wanted} was made for it"


def _leaks(arena: Arena, cases: Sequence[Case], gallery: Gallery) -> Iterator[str]:
    """What was private, in a message that others see."""
    private = [case for case in cases if case.asked.private]
    secret = {
        case: all(
            other.asked.private and other.asked.interaction.user is case.asked.interaction.user
            for other in cases
            if other.asked.prompt == case.asked.prompt
        )
        for case in private
    }
    for message in arena.discord.world.messages.values():
        text, pictures = message.text(), set(gallery.shown(message))
        for case in private:
            asked = case.asked
            own = {picture for row in case.rows for each in row.made for picture in each.pictures}
            told = secret[case] and asked.prompt in text
            if (told or own & pictures) and others_see(message, asked.interaction.user):
                what = "prompt" if told else "picture"
                yield f"{case}: its {what} is in {message.channel.name}"


def _sent_too_often(group: Sequence[Case], sent: Sequence[Posted]) -> Iterator[str]:
    """After an answer that is no sure refusal, a job's request must not be sent again.

    Requests carry no job's id: of twins, all together are sent once each.
    """
    unsure = Counter(each.wish for each in sent if not each.sure)
    rows = [(case, row) for case in group for row in case.rows]
    allowed = Counter(wish_of_asked(case.asked, row.job.request.model) for case, row in rows)
    for wish, times in unsure.items():
        if times > allowed[wish]:
            yield f"{group[0]}: sent {times} times in doubt as {wish}, for {allowed[wish]} jobs"
    if len(rows) == 1 and not all(each.sure for each in sent[:-1]):
        yield f"{group[0]}: sent {len(sent)} times, not only after sure refusals"


def _look_at_generations(
    arena: Arena, groups: Mapping[str, Sequence[Case]], verdict: Verdict
) -> None:
    """Each belongs to one job, or is of a request in doubt, which may have made what it asked."""
    owners = Counter(
        each.id
        for group in groups.values()
        for case in group
        for row in case.rows
        for each in row.made
    )
    verdict.doubled += [
        f"{id} belongs to {times} jobs" for id, times in owners.items() if times > 1
    ]
    free: dict[str, list[Made]] = {}
    for each in made(arena).values():
        if each.id not in owners:
            free.setdefault(each.prompt, []).append(each)
    for prompt, group in groups.items():
        left = free.pop(prompt, [])
        for case in group:
            if case.doubtful:
                _look_at_doubt(case, group, left, verdict)
        verdict.doubled += [f"{group[0]}: {each.id} was made for no job" for each in left]
    verdict.doubled += [f"{prompt}: nobody asked for it" for prompt in free]


def _look_at_doubt(case: Case, group: Sequence[Case], left: list[Made], verdict: Verdict) -> None:
    """Take what it may have made from what is `left`."""
    job = case.rows[0].job
    model = job.request.model
    fitting = [each for each in left if each.fits(case.asked, model)]
    own = fitting[: case.asked.count if model == "oxen" else 1]
    for each in own:
        left.remove(each)
    charged = sum(each.charged for each in own)
    verdict.doubtful.append(f"{case}: made {len(own)}, charged {charged / 1000:g}")
    verdict.doubtful_charged += charged
    rivals = [other for other in group if other is not case and _at_the_same_time(other, job)]
    if model == "oxen" and len(fitting) == case.asked.count and not rivals and _findable(own, job):
        verdict.missed.append(f"{case}: made {[each.id for each in own]}, and did not adopt it")


def _at_the_same_time(other: Case, job: Job) -> bool:
    """Whether another job with this prompt was on its way meanwhile: whose is whose? What was
    lost may be on its way for some minutes more."""
    if job.submitted_at is None or job.settled_at is None:
        return False
    for row in other.rows:
        began, ended = row.job.submitted_at, row.job.running_at or row.job.settled_at
        if not began or not ended:
            continue
        lost = row.job.reason is Reason.DOUBTFUL and abs(began - job.submitted_at) <= CREATED_WITHIN
        if lost or (began <= job.settled_at and job.submitted_at <= ended):
            return True
    return False


def _findable(own: Sequence[Made], job: Job) -> bool:
    if job.settled_at is None:
        return False
    last = job.settled_at.timestamp() - FINDABLE
    return all(each.generation.enqueued_at <= last for each in own)


def _errors(arena: Arena) -> Counter[str]:
    found = Counter(
        f"{line['event']}: {str(line.get('exception', '')).strip().rpartition(chr(10))[2]}"
        for line in arena.log
        if line.get("level") in ("error", "critical")
    )
    return Counter({text: times for text, times in found.items() if not EXPECTED.match(text)})


def _violations(arena: Arena) -> list[str]:
    return [*arena.discord.violations, *arena.oxen.violations, *arena.skills.violations]
