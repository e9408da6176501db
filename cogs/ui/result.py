"""The messages that show how a job ended: its pictures, its failure, and `/show`."""

from collections.abc import Iterator
from typing import Any

from discord import ui

from bot.catalog import ModelSpec
from bot.delivery import Receipt
from bot.errors import Reason
from bot.jobs import Job, JobStatus
from bot.quotas import Member, may_see
from cogs.delivery.uploads import Uploads
from cogs.ui.actions import failed_row, result_row
from cogs.ui.links import result_link
from cogs.ui.panel import AMBER, QUOTED_ALONE, ago, gallery, panel, prompt_of, quoted, small
from cogs.ui.receipts import cost_of, left_in, released
from cogs.ui.text import mention, plain
from cogs.ui.wording import FAILURES, STATES, Fact, Result, Status, plural


def result_view(
    job: Job, spec: ModelSpec, uploads: Uploads, receipt: Receipt, *, missing: int
) -> ui.LayoutView:
    """Return the message with a job's pictures; `missing` of them were not made."""
    remarks = []
    if job.overdue_at:
        remarks.append(Result.OVERDUE.format(service=spec.service, cost=cost_of(job, receipt)))
    elif missing:
        count = job.request.count
        remarks.append(
            Result.PARTIAL.format(service=spec.service, made=count - missing, count=count)
        )
    view = panel(
        Result.HEADING.format(member=f"<@{job.user_id}>", prompt=quoted(job)),
        *result_gallery(job, uploads),
        *remarks,
        *_upload_remarks(uploads),
        _marked(
            job,
            *_facts(job, spec, receipt),
            *left_in(receipt, job),
            *(() if uploads.names else (mark(job),)),
        ),
    )
    view.add_item(result_row(job))
    return view


def failed_view(job: Job, spec: ModelSpec, receipt: Receipt) -> ui.LayoutView:
    """Return the message of a failed job: the event and the remedy."""
    view = panel(
        Result.FAILED.format(
            member=f"<@{job.user_id}>",
            reason=failure(job, spec),
            released=released(job, spec, receipt),
            prompt=quoted(job),
        ),
        _marked(job, spec.title, *left_in(receipt, job), mark(job)),
        colour=AMBER,
    )
    view.add_item(failed_row(job))
    return view


def job_view(job: Job, spec: ModelSpec, uploads: Uploads, *, own: bool) -> ui.LayoutView:
    """Return everything about one job, with the buttons of its result.

    Others than the requester read by whom the job is, and nothing about its delivery.
    """
    options = [f"{name} {plain(str(value), 80)}" for name, value in job.request.options.items()]
    view = panel(
        Status.HEADING.format(
            state=STATES[job.status],
            time=ago(job.settled_at or job.created_at),
            prompt=quoted(job, QUOTED_ALONE),
        ),
        *([failure(job, spec)] if job.status is JobStatus.FAILED else ()),
        *([Result.CANCELED_BY_MODERATOR] if _stopped_by_moderator(job) else ()),
        *(_delivery_remarks(job) if own else ()),
        *([" · ".join(options)] if options else ()),
        *result_gallery(job, uploads),
        *_upload_remarks(uploads),
        small(
            *([] if own else [Fact.REQUESTER.format(member=mention(job.user_id))]),
            *_facts(job, spec),
            f"job {job.id}",
        ),
    )
    if job.status is JobStatus.SUCCEEDED:
        view.add_item(result_row(job))
    elif job.status is JobStatus.FAILED:
        view.add_item(failed_row(job))
    return view


def failure(job: Job, spec: ModelSpec) -> str:
    """Return why a job failed; a remark stored with the job goes before its reason."""
    return job.remark or FAILURES[job.reason or Reason.UNKNOWN].format(service=spec.service)


def _stopped_by_moderator(job: Job) -> bool:
    return job.status is JobStatus.CANCELED and job.canceled_by is not None


def _marked(job: Job, *facts: str) -> ui.TextDisplay[Any]:
    """Return the small print, as a component with the id by which the result is found again."""
    return ui.TextDisplay(small(*facts), id=job.result_mark)


def _origin(job: Job) -> str | None:
    """Return what a result was made from, as a link; None if those who see it may not see that.

    The readers are the requester, of a private result, else everybody in its channel, who in a
    public thread see the thread's channel too.
    """
    source = job.source
    if source is None or (link := result_link(source)) is None:
        return None
    reader = Member(
        user_id=job.user_id if job.route.private else 0,
        parent_channel_id=job.route.parent_id or 0,
    )
    if not may_see(reader, job.route.channel_id, source):
        return None
    return Fact.SOURCE.format(link=link, member=mention(source.user_id))


def mark(job: Job) -> str:
    """Return the end of the small print by which a result without pictures was found again by
    versions that gave it no id.

    Never translated, and the same in every version. Overdue pictures follow a message of failure
    in the same channel, so their mark is another one.
    """
    return f"late, job {job.id}" if job.overdue_at else f"job {job.id}"


def _delivery_remarks(job: Job) -> Iterator[str]:
    """Yield why the requester has not seen the result; nothing for a cancel, their own wish."""
    if not job.delivery_error or job.status is JobStatus.CANCELED or job.result_message_id:
        return
    if job.delivered_at is None:
        yield Result.NOT_YET_POSTED
    else:
        yield Result.UNDELIVERABLE.format(reason=plain(job.delivery_error, 500))


def _upload_remarks(uploads: Uploads) -> Iterator[str]:
    if uploads.gone:
        if uploads.names:
            yield plural(Result.SOME_REMOVED, uploads.gone)
        else:
            yield Result.ALL_REMOVED
    if uploads.left_out:
        yield plural(Result.TOO_LARGE, uploads.left_out)
    if uploads.shrunk and uploads.names:
        yield Result.SHRUNK


def result_gallery(job: Job, uploads: Uploads) -> list[ui.MediaGallery[Any]]:
    alt_text = Result.ALT_TEXT.format(prompt=prompt_of(job))
    return gallery(alt_text, uploads.names, spoiler=job.spoiler)


def _facts(job: Job, spec: ModelSpec, receipt: Receipt | None = None) -> Iterator[str]:
    if job.status is JobStatus.SUCCEEDED or job.overdue_at:
        yield Fact.AI_GENERATED
    yield spec.title
    if origin := _origin(job):
        yield origin
    elif job.inputs:
        yield plural(Fact.INPUTS, len(job.inputs))
    if "seed" in job.request.options:
        yield Fact.SEED.format(seed=job.request.options["seed"])
    if job.settled_at is not None:
        yield Fact.SECONDS.format(seconds=round((job.settled_at - job.created_at).total_seconds()))
    if job.cost is not None:
        yield cost_of(job, receipt)
