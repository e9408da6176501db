"""The texts and the button of a status message, of a cancel, and of a job that has ended."""

from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest

from bot.delivery import Receipt, Usual, Wait
from bot.errors import Reason
from bot.jobs import Attachment, Job, JobStatus
from bot.providers.oxen.model import oxen_spec
from cogs.ui.status import (
    cancel_view,
    canceled_view,
    copies_view,
    elsewhere_view,
    status_view,
    undelivered_view,
    usual_text,
)
from cogs.ui.wording import Ended
from tests.support.rows import NOW
from tests.support.views import (
    ID,
    JOB,
    SECONDS,
    Button,
    is_amber,
    media_of,
    rows_of,
    texts_of,
    uploads,
    with_options,
)

SPEC = oxen_spec(price=7500)
TITLE = "Qwen Image 2 Pro at Oxen.ai"
FACTS = f"-# 1 picture · {TITLE} · 7.5 credits"
RUNNING = replace(JOB, status=JobStatus.RUNNING, running_at=NOW + timedelta(seconds=5))
DOWN = (
    "Oxen.ai does not work at the moment. The job starts as soon as Oxen.ai works again; "
    "after half an hour of waiting, the job fails and costs nothing."
)
USUAL = Usual(timedelta(seconds=10), timedelta(seconds=20))
ALONE = replace(JOB.route, postable=False)
LONG = (
    "The job takes longer than this message can be edited. The result will be sent to you by "
    "direct message; if it does not arrive, see /history."
)


def test_a_queued_job_is_shown_with_its_facts_and_a_button_to_cancel_it() -> None:
    view = status_view(JOB, SPEC)

    assert texts_of(view) == [f"**Queued** <t:{SECONDS}:R>\n> a fox", FACTS]
    assert rows_of(view) == [[Button("Cancel", f"easel:cancel:{ID}")]]
    assert not is_amber(view)


@pytest.mark.parametrize(
    ("job", "facts"),
    [
        (with_options(JOB, count=2), f"-# 2 pictures · {TITLE} · 7.5 credits"),
        (replace(JOB, model_auto=True), f"-# 1 picture · {TITLE} (chosen for you) · 7.5 credits"),
        (
            replace(JOB, inputs=(Attachment("a.png", ""),), price=1000),
            f"-# 1 picture · {TITLE} · from 1 picture · 1 credit",
        ),
        (
            replace(JOB, inputs=(Attachment("a.png", ""),) * 2, locale="de"),
            f"-# 1 picture · {TITLE} · from 2 pictures · 7,5 credits",
        ),
    ],
)
def test_the_facts_of_a_waiting_job(job: Job, facts: str) -> None:
    assert texts_of(status_view(job, SPEC))[1] == facts


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (1, "Place 1 in the queue: this job is next."),
        (2, "Place 2 in the queue: 1 job is ahead."),
        (3, "Place 3 in the queue: 2 jobs are ahead."),
        (10, "Place 10 in the queue: 9 jobs are ahead."),
        (11, "At least 10 jobs are ahead in the queue."),
        (12, "At least 10 jobs are ahead in the queue."),
    ],
)
def test_a_queued_job_has_its_place(place: int, text: str) -> None:
    assert texts_of(status_view(JOB, SPEC, wait=Wait(place))) == [
        f"**Queued** <t:{SECONDS}:R>\n> a fox",
        FACTS,
        text,
    ]


def test_a_place_is_shown_of_a_queued_job_alone() -> None:
    for status in set(JobStatus) - {JobStatus.QUEUED}:
        assert len(texts_of(status_view(replace(JOB, status=status), SPEC, wait=Wait(1)))) == 2


def test_a_running_job_counts_from_its_start_and_has_the_usual_time() -> None:
    heading = f"**Drawing** <t:{SECONDS + 5}:R>\n> a fox"

    assert texts_of(status_view(RUNNING, SPEC)) == [heading, FACTS]
    assert texts_of(status_view(RUNNING, SPEC, wait=Wait(1, USUAL))) == [
        heading,
        FACTS,
        "-# usually 10–20 s",
    ]


def test_a_usual_time_is_shown_of_a_running_job_alone() -> None:
    for status in set(JobStatus) - {JobStatus.RUNNING}:
        job = replace(JOB, status=status)
        assert len(texts_of(status_view(job, SPEC, wait=Wait(None, USUAL)))) == 2


def test_a_slow_job_says_so_instead_of_the_usual_time() -> None:
    slow = replace(RUNNING, slow_shown=True)

    assert texts_of(status_view(slow, SPEC, wait=Wait(None, USUAL)))[2:] == [
        "Slower than usual. The service is still drawing, and the result will follow."
    ]
    queued = replace(JOB, slow_shown=True)
    assert len(texts_of(status_view(queued, SPEC))) == 2


@pytest.mark.parametrize(
    ("median", "most", "text"),
    [
        (0, 0, "usually about 1 s"),
        (0.4, 1, "usually about 1 s"),
        (1.6, 1.2, "usually about 2 s"),
        (10, 10.1, "usually 10–11 s"),
        (30, 119, "usually 30–119 s"),
        (30, 120, "usually 1–2 min"),
        (89, 121, "usually 1–3 min"),
        (91, 120, "usually about 2 min"),
        (20, 130, "usually 1–3 min"),
    ],
)
def test_a_usual_time_has_whole_seconds_and_from_two_minutes_on_minutes(
    median: float, most: float, text: str
) -> None:
    assert usual_text(Usual(timedelta(seconds=median), timedelta(seconds=most))) == text


def test_a_service_that_is_down_is_named_instead_of_the_place_until_the_job_has_started() -> None:
    for status in JobStatus:
        shown = texts_of(status_view(replace(JOB, status=status), SPEC, down=True, wait=Wait(1)))
        waits = status in {JobStatus.QUEUED, JobStatus.SUBMITTING}
        assert shown[2:] == ([DOWN] if waits else [])


def test_a_job_that_is_being_canceled_has_no_place_and_no_button() -> None:
    for job in (JOB, replace(JOB, slow_shown=True, status=JobStatus.RUNNING)):
        view = status_view(replace(job, cancel_requested_at=NOW), SPEC, wait=Wait(1, USUAL))

        assert texts_of(view) == [f"**Canceling** <t:{SECONDS}:R>\n> a fox", FACTS]
        assert rows_of(view) == []


def test_only_a_job_that_has_not_ended_can_be_canceled() -> None:
    for status in JobStatus:
        rows = rows_of(status_view(replace(JOB, status=status), SPEC))
        ended = {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELED}
        assert bool(rows) == (status not in ended)


def test_the_last_status_message_of_a_long_job_says_where_the_result_will_be() -> None:
    for route in (JOB.route, ALONE):
        job = replace(RUNNING, final_status_sent=True, slow_shown=True, route=route)
        view = status_view(job, SPEC, wait=Wait(1, USUAL), lacking=["Send Messages"])

        assert texts_of(view) == [f"**Taking longer** <t:{SECONDS + 5}:R>\n> a fox", FACTS, LONG]
        assert rows_of(view) == [[Button("Cancel", f"easel:cancel:{ID}")]]
    canceling = status_view(replace(job, cancel_requested_at=NOW), SPEC)
    assert texts_of(canceling)[0] == f"**Canceling** <t:{SECONDS + 5}:R>\n> a fox"


def test_a_member_reads_why_the_result_will_replace_the_message() -> None:
    text = "The bot cannot post here, so the result will replace this message."
    job = replace(JOB, route=ALONE)

    assert texts_of(status_view(job, SPEC))[2:] == [text]
    lacking = ["Send Messages", "Attach Files"]
    assert texts_of(status_view(job, SPEC, lacking=lacking))[2:] == [
        f"{text} Missing permissions: Send Messages, Attach Files."
    ]


def test_nothing_is_said_of_permissions_where_none_is_needed() -> None:
    for postable, private in product((True, False), repeat=2):
        route = replace(JOB.route, postable=postable, private=private)
        shown = texts_of(status_view(replace(JOB, route=route), SPEC, lacking=["Attach Files"]))
        assert (len(shown) == 2) == (postable or private)


def test_copies_of_input_pictures_say_what_they_are_for() -> None:
    view = copies_view(JOB, SPEC, uploads(2))

    assert texts_of(view) == [
        "Copies of your pictures, for Oxen.ai to download. Only you see this message; keep it "
        "until the job ends."
    ]
    assert media_of(view) == [
        (f"attachment://{number}.png", "Input picture for: a fox", False) for number in (1, 2)
    ]


def test_the_reply_to_a_cancel_says_whether_the_job_has_ended() -> None:
    canceled = replace(JOB, status=JobStatus.CANCELED)

    assert texts_of(cancel_view(canceled, SPEC)) == [
        "**Canceled.** Nothing was charged: 7.5 credits are released.\n> a fox"
    ]
    assert texts_of(cancel_view(RUNNING, SPEC)) == [
        "**Canceling.** The job stops as soon as its service allows that.\n> a fox"
    ]


def test_a_canceled_job_says_by_whom_and_what_is_left() -> None:
    canceled = replace(JOB, status=JobStatus.CANCELED)

    assert texts_of(canceled_view(canceled, SPEC, Receipt())) == [
        "**Canceled.** Nothing was charged: 7.5 credits are released.\n> a fox",
        f"-# job {ID}",
    ]
    by_other = replace(canceled, canceled_by=2, price=1000)
    view = canceled_view(by_other, SPEC, Receipt(left=12_500))
    assert texts_of(view) == [
        "**Canceled by a moderator.** <@1> Nothing was charged: 1 credit is released.\n> a fox",
        f"-# 12.5 credits left · job {ID}",
    ]
    assert rows_of(view) == []


def test_a_result_elsewhere_is_announced_to_its_requester() -> None:
    assert texts_of(elsewhere_view(JOB, Ended.FOLLOW_UP)) == [
        "<@1> The result is in a message that only you see.",
        f"-# job {ID}",
    ]


@pytest.mark.parametrize(
    ("status", "overdue", "failed"),
    [
        (JobStatus.SUCCEEDED, False, False),
        (JobStatus.FAILED, False, True),
        (JobStatus.FAILED, True, False),
        (JobStatus.CANCELED, False, False),
        (JobStatus.CANCELED, True, False),
    ],
)
def test_a_result_that_nothing_accepts_is_named_without_its_prompt(
    status: JobStatus, overdue: bool, failed: bool
) -> None:
    job = replace(JOB, status=status, overdue_at=NOW if overdue else None, reason=Reason.REJECTED)
    text = "The result could not be posted, and is stored."
    if failed:
        text = "The job failed, and the reason could not be posted. Nothing was charged."

    assert texts_of(undelivered_view(job)) == [
        f"<@1> {text} See `/show` with the job `{ID}`.",
        f"-# job {ID}",
    ]
