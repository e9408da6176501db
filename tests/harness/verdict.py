"""The outcome of every request: lost, doubled or unknown, and whether the money is right.

The verdict uses the members' view of Discord, the requests to the image APIs with their generations
and charges, and the bot's rows and log. Requests are distinguished by job ids and pictures by their
bytes, because prompts may be equal.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bot.errors import Reason
from bot.jobs import Job, JobStatus
from bot.ledger import EntryKind, balance
from bot.sandbox.discord import Channel, Message
from bot.store import generations, ledger
from bot.store.audit import Finding, verify
from bot.store.backends import open_database
from bot.store.database import Transaction
from bot.worker.recovery import CREATED_WITHIN
from tests.harness.crash import Arena, Requested
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
    wish_of_requested,
)

UNKNOWN_REPORTED: Final = "the outcome is unknown"  # in the member's message
FOLLOW_UP: Final = "follow-up"  # a destination
UNKNOWN_LOGGED: Final = "outcome of a submit unknown"  # in the operator's log
# Errors in the log that the stand-ins' faults cause and that are logged as designed. The last are
# caused by Discord, or by the connection to Discord.
EXPECTED: Final = re.compile(
    rf"{UNKNOWN_LOGGED}|(oxen|skills) is down|commands not registered, retrying"
    r"|the database cannot be used: 127\.0\.0\.1|outcome of a commit unknown"  # the server's kills
    r"|(interaction \d+ failed|connection to Discord failed, reconnecting): "
    r"(discord\.errors\.|aiohttp\.|TimeoutError|ConnectionResetError)"
)
# Texts of replies that accept a request, although Discord refuses to show the prompt.
WITHOUT_PROMPT: Final = ("prompt hidden", "The result ", "the reason could not be posted")
# A generation that existed for this many seconds before the search ended was visible to a query.
FINDABLE: Final = 3.0


@dataclass
class Verdict:
    """Findings by kind. Lists have a line for each request; amounts are thousandths of a credit."""

    requests: int = 0
    twins: int = 0  # requests that share their prompt
    fates: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)  # reasons of failed jobs
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    doubled_alone: list[str] = field(default_factory=list)  # others see one result at most
    unfinished: list[str] = field(default_factory=list)  # status messages that outlive their jobs
    foreign: list[str] = field(default_factory=list)  # shown, but made for another request
    leaked: list[str] = field(default_factory=list)  # private, but seen by others
    undelivered: list[str] = field(default_factory=list)  # settled, but not confirmed as delivered
    doubtful: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)  # unknown outcomes that could have been adopted
    estimated: list[str] = field(default_factory=list)  # charged without a reported cost
    # between the APIs' charges and the ledger, without the estimated and the doubtful
    difference: int = 0
    doubtful_charged: int = 0
    creating: int = 0  # creating requests
    findings: Sequence[Finding] = ()  # from `easel ledger verify`
    violations: list[str] = field(default_factory=list)  # rules of an API that the bot broke
    errors: Counter[str] = field(default_factory=Counter)  # unexpected errors in the log
    unreached: list[str] = field(default_factory=list)  # instants that were not reached

    @property
    def wrong(self) -> Mapping[str, object]:
        """Return all findings that are errors, by name; empty if there are none."""
        each: Mapping[str, object] = {
            "lost": self.lost,
            "doubled": self.doubled,
            "unfinished": self.unfinished,
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
        return {name: found for name, found in each.items() if found}

    @property
    def good(self) -> bool:
        return not self.wrong


@dataclass(frozen=True, slots=True)
class Row:
    job: Job
    booked: int  # the member's payment in the ledger
    made: Sequence[Made]  # the generations that the bot has stored for the job


@dataclass(frozen=True, eq=False)
class Case:
    """A request with all evidence."""

    requested: Requested
    rows: Sequence[Row]
    results: Sequence[Message]  # messages with the pictures or the reason of the failure
    unknown_logged: bool

    @property
    def job(self) -> Job | None:
        return self.rows[0].job if self.rows else None

    @property
    def answered(self) -> bool:
        """Return whether the member saw a reply that accepts the request."""
        message = self.requested.interaction.message
        texts = (self.requested.prompt, *WITHOUT_PROMPT)
        return message is not None and any(text in message.text() for text in texts)

    @property
    def doubtful(self) -> bool:
        job = self.job
        return job is not None and job.reason is Reason.DOUBTFUL and job.status is JobStatus.FAILED

    def __str__(self) -> str:
        job = self.job
        model = job.request.model if job else self.requested.model
        return f"{self.requested.prompt} ({model}, job {job.id if job else None})"


async def judge(arena: Arena, *, unreached: Sequence[str] = ()) -> Verdict:
    """Check everything after all jobs have settled."""
    verdict = Verdict(len(arena.requested), unreached=list(unreached))
    verdict.violations = _violations(arena)
    verdict.errors = _errors(arena)
    async with open_database(arena.database_url) as database, database.reading() as view:
        verdict.findings = (await verify(view)).findings
        rows = await _rows(arena, view, verdict)
    cases = _cases(arena, rows, verdict)
    gallery = Gallery(arena)
    for case in cases:
        _check_case(case, verdict, arena, gallery)
    verdict.leaked += _leaks(arena, cases, gallery)
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.requested.prompt, []).append(case)
    verdict.twins = sum(len(group) for group in groups.values() if len(group) > 1)
    sent = posted(arena)
    verdict.creating = sum(len(each) for each in sent.values())
    for prompt, group in groups.items():
        verdict.doubled += _repeated_requests(group, sent.get(prompt, ()))
    _check_generations(arena, groups, verdict)
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
        entries = await ledger.entries_of(view, job.id)
        booked = -balance(each for each in entries if each.kind is not EntryKind.LOSS)
        found.append(Row(job, booked, own))
    return found


def _cases(arena: Arena, rows: Sequence[Row], verdict: Verdict) -> list[Case]:
    """Assign each row to a request.

    A row belongs to the request whose reply is stored in the row, else to the request with the same
    token, else to the last earlier request with the same prompt.
    """
    of: dict[Requested, list[Row]] = {requested: [] for requested in arena.requested}
    by_message = {
        requested.interaction.message.id: requested
        for requested in arena.requested
        if requested.interaction.message
    }
    by_token = {requested.interaction.token: requested for requested in arena.requested}
    for row in sorted(rows, key=lambda row: row.job.route.status_message_id is None):
        route = row.job.route
        requested = by_message.get(route.status_message_id or 0) or by_token.get(
            route.interaction_token or ""
        )
        if requested := requested or _likely(row.job, [each for each in of if not of[each]]):
            of[requested].append(row)
        else:
            verdict.foreign.append(f"job {row.job.id} was requested by nobody")
    ends = results(arena)
    doubts = {
        str(line.get("job")) for line in arena.log if UNKNOWN_LOGGED in str(line.get("event"))
    }
    cases = []
    for requested, own in of.items():
        ids = [row.job.id for row in own]
        keys: list[str | int] = [*ids, requested.interaction.id]
        found = [each for key in keys for each in ends.pop(key, [])]
        cases.append(Case(requested, own, found, not doubts.isdisjoint(ids)))
    verdict.foreign += [
        f"the result of no request ({key or 'without a job'}): {message.text()!r}"
        for key, messages in ends.items()
        for message in messages
    ]
    return cases


def _likely(job: Job, left: Iterable[Requested]) -> Requested | None:
    before = [
        requested
        for requested in left
        if requested.interaction.user.id == job.user_id
        and requested.prompt == job.request.prompt
        and requested.private == job.route.private
        and requested.interaction.created_at <= job.created_at.timestamp() + 1
    ]
    return max(before, key=lambda requested: requested.interaction.created_at, default=None)


def _check_case(case: Case, verdict: Verdict, arena: Arena, gallery: Gallery) -> None:
    user = case.requested.interaction.user
    public = [each for each in case.results if others_see(each, user)]
    if len(case.rows) > 1 or len(public) > 1:
        verdict.doubled.append(f"{case}: {len(case.rows)} jobs, {len(case.results)} results")
    elif len(case.results) > 1:
        verdict.doubled_alone.append(f"{case}: {len(case.results)} results")
    verdict.unfinished += [f"{case}: {text!r}" for text in _unfinished(case)]
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
    if case.doubtful and not case.unknown_logged:
        verdict.lost.append(f"{case}: the unknown outcome was not logged")
    for row in case.rows:
        charged = sum(each.charged for each in row.made)
        if row.job.estimated and row.job.status is JobStatus.SUCCEEDED:
            verdict.estimated.append(
                f"{case}: booked {row.booked / 1000:g}, charged {charged / 1000:g}"
            )
            continue
        verdict.difference += abs(charged - row.booked)


def _unfinished(case: Case) -> Iterator[str]:
    """Yield the status message that still shows a settled job as a waiting one."""
    message, job = case.requested.interaction.message, case.job
    if message is None or message.deleted or job is None or not job.status.settled:
        return
    if any(":cancel:" in str(button["custom_id"]) for button in message.buttons()):
        yield message.text()


def _fate(case: Case, arena: Arena) -> tuple[str, list[str]]:
    """Return the outcome, and the errors in that outcome."""
    job = case.job
    if not case.answered:
        gone = job is None or job.status is JobStatus.CANCELED
        wrong = [] if gone else [f"the job is {job and job.status}"]
        return "never answered", wrong + ["has a result"] * len(case.results)
    if job is None:
        return "no job", ["replied, but not stored"]
    match job.status:
        case JobStatus.CANCELED:
            return "canceled", _canceled_wrong(case, arena)
        case JobStatus.SUCCEEDED | JobStatus.FAILED:
            return str(job.status), _result_wrong(case, job, arena)
    return str(job.status), ["not settled"]


def _canceled_wrong(case: Case, arena: Arena) -> list[str]:
    requested = case.requested
    message = requested.interaction.message
    said = message is not None and not message.deleted and CANCELED in message.text()
    silent = not said and not arena.refused.intersection(_destinations(requested, arena)["reply"])
    says = message.text() if message is not None and not message.deleted else None
    return [f"the status says {says!r}"] * silent + ["has a result"] * len(case.results)


def _result_wrong(case: Case, job: Job, arena: Arena) -> list[str]:
    """Return the errors of the result. A second result is counted as doubled, not here."""
    requested = case.requested
    destinations = _destinations(requested, arena)
    refused = [
        destination
        for destination, paths in destinations.items()
        if arena.refused.intersection(paths)
    ]
    if not case.results:
        # The follow-up is sent once only: the next destination is tried after any failure.
        return [] if {*destinations} - {FOLLOW_UP} <= {*refused} else ["no result"]
    result = case.results[0]
    text = result.text()
    if bool(files(result)) is not (job.status is JobStatus.SUCCEEDED):
        return ["the result is of another kind"]
    wrong = []
    destination = _destination_of(result, requested)
    names = list(destinations)
    before = names[: names.index(destination)] if destination in names else names
    if destination not in names or not set(before) - {FOLLOW_UP} <= set(refused):
        wrong.append(f"delivered to the {destination}, but only these refused: {refused}")
    if (
        destination not in {"reply", FOLLOW_UP}
        and requested.interaction.user.id not in result.pings
    ):
        wrong.append("the result does not ping the member")
    if case.doubtful and UNKNOWN_REPORTED not in text:
        wrong.append("the unknown outcome was not reported")
    return wrong


def _destinations(requested: Requested, arena: Arena) -> dict[str, set[str]]:
    """Return the possible destinations of the result in order, each with paths at Discord."""
    interaction = requested.interaction
    message = interaction.message.id if interaction.message else 0
    hook = f"/api/v10/webhooks/{interaction.application_id}/{interaction.token}"
    reply = {"reply": {f"{hook}/messages/{message}"}}
    direct = {"direct message": {_posting(arena.discord.dm_channel(interaction.user))}}
    alone = {FOLLOW_UP: {hook}}
    if requested.private:
        return reply | alone | direct
    parent = interaction.channel.parent
    above = {"parent channel": {_posting(parent)}} if parent else {}
    return {"channel": {_posting(interaction.channel)}} | reply | alone | above | direct


def _posting(channel: Channel) -> str:
    return f"/api/v10/channels/{channel.id}/messages"


def _destination_of(result: Message, requested: Requested) -> str:
    channel = requested.interaction.channel
    if result is requested.interaction.message:
        return "reply"
    if result in requested.interaction.followups:
        return FOLLOW_UP
    if result.interaction is not None:
        return "reply to another interaction"
    if result.channel is channel and not requested.private:
        return "channel"
    if channel.parent is not None and result.channel is channel.parent:
        return "parent channel"
    direct = (
        result.channel.guild is None and requested.interaction.user in result.channel.recipients
    )
    return "direct message" if direct else f"channel {result.channel.name}"


def _foreign(case: Case, gallery: Gallery) -> Iterator[str]:
    """Report pictures that were made for another job, each once."""
    job = case.job
    if job is None:
        return
    own = case.rows[0].made
    for each in own:
        if not each.fits(case.requested, job.request.model):
            yield f"{each.id} was made for another request: {each.generation.body}"
    wanted = sorted(picture for each in own for picture in each.pictures)
    for result in case.results:
        if others := jobs_named(result) - {job.id}:
            yield f"the result names {others}"
        found = sorted(gallery.shown(result, own))
        if found and found != wanted:
            yield f"shows {found}, but {wanted} was made for the job"


def _leaks(arena: Arena, cases: Sequence[Case], gallery: Gallery) -> Iterator[str]:
    """Report private content in messages that others see."""
    private = [case for case in cases if case.requested.private]
    secret = {
        case: all(
            other.requested.private
            and other.requested.interaction.user is case.requested.interaction.user
            for other in cases
            if other.requested.prompt == case.requested.prompt
        )
        for case in private
    }
    for message in arena.discord.world.messages.values():
        text, pictures = message.text(), set(gallery.shown(message))
        for case in private:
            requested = case.requested
            own = {picture for row in case.rows for each in row.made for picture in each.pictures}
            named = secret[case] and requested.prompt in text
            if (named or own & pictures) and others_see(message, requested.interaction.user):
                leaked = "prompt" if named else "picture"
                yield f"{case}: the {leaked} is in {message.channel.name}"


def _repeated_requests(group: Sequence[Case], sent: Sequence[Posted]) -> Iterator[str]:
    """Report repeats after an answer that is not a sure refusal.

    Requests carry no job id, so requests with equal prompts are counted together.
    """
    unsure = Counter(each.wish for each in sent if not each.sure)
    rows = [(case, row) for case in group for row in case.rows]
    allowed = Counter(
        wish_of_requested(case.requested, row.job.request.model) for case, row in rows
    )
    for wish, times in unsure.items():
        if times > allowed[wish]:
            jobs = f"{allowed[wish]} jobs"
            yield f"{group[0]}: {jobs}, but sent {times} times as {wish} without a sure refusal"
    if len(rows) == 1 and not all(each.sure for each in sent[:-1]):
        yield f"{group[0]}: sent {len(sent)} times, not only after sure refusals"


def _check_generations(
    arena: Arena, groups: Mapping[str, Sequence[Case]], verdict: Verdict
) -> None:
    """Check that each generation belongs to one job, or to an unknown outcome."""
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
                _check_unknown_outcome(case, group, left, verdict)
        verdict.doubled += [f"{group[0]}: {each.id} was made for no job" for each in left]
    verdict.doubled += [f"{prompt}: was requested by nobody" for prompt in free]


def _check_unknown_outcome(
    case: Case, group: Sequence[Case], left: list[Made], verdict: Verdict
) -> None:
    """Remove the generations that may belong to the case from `left`."""
    job = case.rows[0].job
    model = job.request.model
    fitting = [each for each in left if each.fits(case.requested, model)]
    own = fitting[: case.requested.count if model == "oxen" else 1]
    for each in own:
        left.remove(each)
    charged = sum(each.charged for each in own)
    verdict.doubtful.append(f"{case}: made {len(own)}, charged {charged / 1000:g}")
    verdict.doubtful_charged += charged
    rivals = [other for other in group if other is not case and _overlaps(other, job)]
    if (
        model == "oxen"
        and len(fitting) == case.requested.count
        and not rivals
        and _findable(own, job)
    ):
        verdict.missed.append(f"{case}: made {[each.id for each in own]}, and did not adopt it")


def _overlaps(other: Case, job: Job) -> bool:
    """Return whether another job with this prompt was submitted at the same time.

    The generations of such jobs cannot be told apart. A lost request may arrive minutes later.
    """
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
