"""What became of every request in the end: lost, doubled, in doubt, and whether the money is right.

Told from outside: by what members see at Discord, by what the image APIs were asked and have
charged, and by the bot's rows and log.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bot.errors import Reason
from bot.jobs import Job, JobStatus
from bot.ledger import balance
from bot.sandbox.discord import Message
from bot.store import ledger
from bot.store.database import Database
from bot.store.verify import Finding, verify
from tests.crash import Arena, Asked

NOT_CHARGED: Final = "You were not charged."
CANCELED: Final = "Canceled."
DOUBT_TOLD: Final = "broke while asking"  # to the member
DOUBT_LOGGED: Final = "doubtful submit"  # to the operator
EXPECTED: Final = (DOUBT_LOGGED,)  # among the log's errors
THOUSANDTHS: Final = {"oxen": 100 * 1000, "skills": 1000}  # of a credit, in what an API charges


@dataclass
class Verdict:
    """Lists have a line for each request that is wrong; amounts are thousandths of a credit."""

    requests: int = 0
    fates: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)  # why jobs failed
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)
    difference: int = 0  # of what the APIs charged and the ledger has, doubtful ones apart
    doubtful_charged: int = 0
    creating: int = 0  # requests that create
    findings: Sequence[Finding] = ()  # of `easel ledger verify`
    violations: list[str] = field(default_factory=list)  # what no client may do
    errors: Counter[str] = field(default_factory=Counter)  # in the log, and not to be expected

    @property
    def good(self) -> bool:
        return not (
            self.lost or self.doubled or self.difference or self.findings or self.violations
        )


@dataclass(frozen=True, slots=True)
class Row:
    job: Job
    charged: int  # by the ledger


@dataclass(frozen=True, slots=True)
class Case:
    """One request, and all that there is of it."""

    asked: Asked
    rows: Sequence[Row]
    results: Sequence[Message]  # pictures, or why there are none
    creating: int
    made: int  # generations
    charged: int  # by the API
    doubt_logged: bool

    @property
    def answered(self) -> bool:
        """Whether its member was told that it was taken."""
        message = self.asked.interaction.message
        return message is not None and self.asked.prompt in message.text()


async def judge(arena: Arena, *, once: bool = True) -> Verdict:
    """Look when everything has settled. `once`: nothing was refused in a way that allows to ask
    again, so that each job may have been sent to its API one time only."""
    verdict = Verdict(requests=len(arena.asked), violations=_violations(arena))
    async with Database(arena.database) as database, database.reading() as view:
        verdict.findings = (await verify(view)).findings
        rows: dict[str, list[Row]] = {}
        for job in await arena.jobs(view):
            paid = -balance(await ledger.entries_of(view, job.id))
            rows.setdefault(job.request.prompt, []).append(Row(job, paid))
    for case in _cases(arena, rows):
        verdict.creating += case.creating
        _look(case, verdict, once=once)
    verdict.errors = Counter(
        f"{line['event']}: {str(line.get('exception', '')).strip().rpartition(chr(10))[2]}"
        for line in arena.log
        if line.get("level") in ("error", "critical")
        and not str(line["event"]).startswith(EXPECTED)
    )
    return verdict


def _cases(arena: Arena, rows: Mapping[str, Sequence[Row]]) -> list[Case]:
    doubts = {str(line.get("job")) for line in arena.log if DOUBT_LOGGED in str(line.get("event"))}
    sent: Counter[object] = Counter()
    for request in (*arena.oxen.requests, *arena.skills.requests):
        if request.method == "POST" and isinstance(request.body, dict):
            sent[request.body.get("prompt")] += 1
    made: Counter[object] = Counter()
    charged: Counter[object] = Counter()
    for model, api in (("oxen", arena.oxen), ("skills", arena.skills)):
        for each in api.generations.values():
            made[each.body["prompt"]] += 1
            charged[each.body["prompt"]] += int(each.charged * THOUSANDTHS[model])
    results = _results(arena)
    return [
        Case(
            asked,
            own := rows.get(asked.prompt, ()),
            results.get(asked.prompt, ()),
            sent[asked.prompt],
            made[asked.prompt],
            charged[asked.prompt],
            any(row.job.id in doubts for row in own),
        )
        for asked in arena.asked
    ]


def _results(arena: Arena) -> dict[str, list[Message]]:
    """By prompt: messages of the bot's own and answers to the request itself, if they are ends."""
    answers = {id(asked.interaction): asked.prompt for asked in arena.asked}
    prompts = set(answers.values())
    found: dict[str, list[Message]] = {}
    for message in arena.discord.world.messages.values():
        text = message.text()
        if message.deleted or not (message.pictures() or NOT_CHARGED in text) or CANCELED in text:
            continue
        if message.interaction is not None:
            prompt = answers.get(id(message.interaction))
        else:
            start = text.find("fox number ")
            prompt = text[start : start + 17] if start >= 0 else None
        if prompt in prompts and prompt is not None:
            found.setdefault(prompt, []).append(message)
    return found


def _look(case: Case, verdict: Verdict, *, once: bool) -> None:
    asked, prompt = case.asked, case.asked.prompt
    job = case.rows[0].job if case.rows else None
    what = f"{prompt} ({asked.model}, job {job.id if job else None})"
    if len(case.rows) > 1 or len(case.results) > 1 or case.made > 1:
        verdict.doubled.append(
            f"{what}: {len(case.rows)} jobs, {len(case.results)} results, {case.made} generations"
        )
    if once and case.creating > 1:
        verdict.doubled.append(f"{what}: sent {case.creating} times")
    fate, wrong = _fate(case, job)
    verdict.fates[fate] += 1
    verdict.lost += [f"{what}: {fate}: {each}" for each in wrong]
    booked = sum(row.charged for row in case.rows)
    if job and job.status is JobStatus.FAILED:
        verdict.reasons[str(job.reason)] += 1
        if job.reason is Reason.DOUBTFUL:
            verdict.doubtful.append(f"{what}: charged {case.charged / 1000:g}")
            verdict.doubtful_charged += case.charged - booked
            return
    verdict.difference += abs(case.charged - booked)


def _fate(case: Case, job: Job | None) -> tuple[str, list[str]]:
    """How it ended, and what is wrong with that."""
    if not case.answered:
        gone = job is None or job.status is JobStatus.CANCELED
        wrong = [] if gone else [f"the job is {job and job.status}"]
        return "never answered", wrong + ["has a result"] * len(case.results)
    if job is None:
        return "no job", ["answered, and not stored"]
    match job.status:
        case JobStatus.CANCELED:
            return "canceled", _canceled_wrong(case)
        case JobStatus.SUCCEEDED:
            return "succeeded", _result_wrong(case, pictures=True)
        case JobStatus.FAILED:
            return "failed", [*_result_wrong(case, pictures=False), *_doubt_wrong(case, job)]
    return str(job.status), ["not settled"]


def _canceled_wrong(case: Case) -> list[str]:
    message = case.asked.interaction.message
    said = message is not None and not message.deleted and CANCELED in message.text()
    return ["its status does not say so"] * (not said) + ["has a result"] * len(case.results)


def _result_wrong(case: Case, *, pictures: bool) -> list[str]:
    """More than one is not wrong here: it is doubled."""
    asked = case.asked
    if not case.results:
        return ["no result"]
    result = case.results[0]
    if bool(result.pictures()) is not pictures:
        return ["the result is of another kind"]
    if asked.private and result is not asked.interaction.message:
        return ["the private result is not in the answer"]
    if not asked.private and (
        result.channel is not asked.interaction.channel
        or result.interaction is not None
        or asked.interaction.user.id not in result.pings
    ):
        return ["the result does not ping its member in its channel"]
    return []


def _doubt_wrong(case: Case, job: Job) -> list[str]:
    if job.reason is not Reason.DOUBTFUL:
        return []
    told = bool(case.results) and DOUBT_TOLD in case.results[0].text()
    return ["the doubt was not told"] * (not told) + ["the doubt is in no log"] * (
        not case.doubt_logged
    )


def _violations(arena: Arena) -> list[str]:
    return [*arena.discord.violations, *arena.oxen.violations, *arena.skills.violations]
