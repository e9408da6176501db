"""The texts, pictures and buttons of results, of failures and of `/show`."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.delivery import Receipt
from bot.errors import Reason
from bot.jobs import Attachment, Job, JobStatus
from bot.providers.oxen.model import oxen_spec
from cogs.ui.receipts import cost_of, left_in, released
from cogs.ui.result import failed_view, job_view, mark, result_view
from tests.support.rows import NOW
from tests.support.views import (
    DONE,
    DONE_AT,
    ID,
    Button,
    components_of,
    is_amber,
    media_of,
    rows_of,
    text_of,
    texts_of,
    uploads,
    with_options,
    with_prompt,
)

SPEC = oxen_spec(price=7500)
TITLE = "Qwen Image 2 Pro at Oxen.ai"
FACTS = f"-# AI-generated · {TITLE} · 42 s · 7.5 credits"
FAILED = replace(DONE, status=JobStatus.FAILED, reason=Reason.REJECTED, cost=None)
OVERDUE = replace(FAILED, overdue_at=NOW, cost=7500)
BUTTONS = [Button(each, f"easel:{each.lower()}:{ID}") for each in ("Again", "Remix", "Edit")]
MORE = Button("More", f"easel:more:{ID}")


def shown(
    job: Job, number: int = 1, receipt: Receipt | None = None, *, missing: int = 0
) -> list[str]:
    view = result_view(job, SPEC, uploads(number), receipt or Receipt(), missing=missing)
    return texts_of(view)


def test_a_result_has_its_pictures_facts_and_buttons() -> None:
    view = result_view(DONE, SPEC, uploads(2), Receipt(), missing=0)

    assert texts_of(view) == ["<@1>\n> a fox", FACTS]
    assert media_of(view) == [
        (f"attachment://{number}.png", "AI-generated: a fox", False) for number in (1, 2)
    ]
    assert rows_of(view) == [[*BUTTONS, MORE]]
    assert not is_amber(view)


def test_a_result_without_pictures_has_the_id_of_its_job() -> None:
    assert shown(DONE, 0) == ["<@1>\n> a fox", f"{FACTS} · job {ID}"]
    assert shown(OVERDUE, 0)[-1] == f"{FACTS} · late, job {ID}"
    assert mark(DONE) == f"job {ID}"


def test_the_small_print_has_the_id_by_which_the_result_is_found_again() -> None:
    for job in (replace(DONE, secret=2**20), replace(OVERDUE, secret=2**20)):
        for view in (
            result_view(job, SPEC, uploads(1), Receipt(), missing=0),
            failed_view(job, SPEC, Receipt()),
        ):
            (container, _) = components_of(view)
            assert container["components"][-1]["id"] == 2**20 + (job.overdue_at is not None)


def test_pictures_that_were_not_made_are_counted() -> None:
    job = with_options(DONE, count=4)

    assert shown(job, 4) == ["<@1>\n> a fox", FACTS]
    assert shown(job, 3, missing=1)[1:] == ["Oxen.ai made 3 of 4 pictures.", FACTS]


def test_an_overdue_result_says_what_it_costs_and_not_what_is_missing() -> None:
    text = "Oxen.ai finished this job after it had been given up. The job is charged"

    assert shown(OVERDUE, missing=1)[1:] == [f"{text}: 7.5 credits.", FACTS]
    about = shown(OVERDUE, receipt=Receipt(estimated=True))
    assert about[1] == f"{text}: about 7.5 credits."
    assert about[2] == FACTS.replace("7.5", "about 7.5")


@pytest.mark.parametrize(
    ("number", "missing", "remarks"),
    [
        (1, (0, 0), []),
        (1, (1, 0), ["1 of the pictures is no longer stored."]),
        (1, (2, 0), ["2 of the pictures are no longer stored."]),
        (0, (1, 0), ["The pictures are no longer stored."]),
        (1, (0, 1), ["1 picture is too large to be uploaded here."]),
        (0, (0, 2), ["2 pictures are too large to be uploaded here."]),
    ],
)
def test_pictures_that_are_not_shown_are_counted(
    number: int, missing: tuple[int, int], remarks: list[str]
) -> None:
    gone, left_out = missing
    made = uploads(number, gone=gone, left_out=left_out)
    result = texts_of(result_view(DONE, SPEC, made, Receipt(), missing=0))

    assert result[1:-1] == remarks
    assert texts_of(job_view(DONE, SPEC, made, own=True))[1:-1] == remarks


def test_shrunk_pictures_are_said_to_be_so_if_any_is_shown() -> None:
    text = "Shrunk to fit the upload limit here; the original is stored."

    for number, remarks in ((1, [text]), (0, [])):
        view = result_view(DONE, SPEC, uploads(number, shrunk=True), Receipt(), missing=0)
        assert texts_of(view)[1:-1] == remarks


@pytest.mark.parametrize(
    ("job", "facts"),
    [
        (with_options(DONE, seed=0), f"{TITLE} · seed 0 · 42 s · 7.5 credits"),
        (replace(DONE, inputs=(Attachment("a", ""),)), f"{TITLE} · from 1 picture · 42 s · 7.5"),
        (replace(DONE, settled_at=None), f"{TITLE} · 7.5 credits"),
        (replace(DONE, settled_at=NOW + timedelta(seconds=1.6)), f"{TITLE} · 2 s · 7.5 credits"),
        (replace(DONE, cost=None), f"{TITLE} · 42 s"),
        (replace(DONE, cost=0), f"{TITLE} · 42 s · 0 credits"),
        (replace(DONE, estimated=True), f"{TITLE} · 42 s · about 7.5 credits"),
    ],
)
def test_the_facts_of_a_result(job: Job, facts: str) -> None:
    assert shown(job)[-1].startswith(f"-# AI-generated · {facts}")


def test_only_pictures_are_called_generated() -> None:
    for status in JobStatus:
        for overdue in (None, NOW):
            job = replace(DONE, status=status, overdue_at=overdue)
            generated = "AI-generated" in texts_of(job_view(job, SPEC, uploads(0), own=True))[-1]
            assert generated == (status is JobStatus.SUCCEEDED or overdue is not None)


@pytest.mark.parametrize(
    ("left", "text"),
    [
        (None, []),
        (0, ["0 credits left"]),
        (1, ["0.001 credits left"]),
        (1000, ["1 credit left"]),
        (-1, ["0.001 credits below zero"]),
        (-1000, ["1 credit below zero"]),
    ],
)
def test_the_rest_of_the_credits_follows_the_cost(left: int | None, text: list[str]) -> None:
    receipt = Receipt(left=left)

    assert [*left_in(receipt, DONE)] == text
    assert shown(DONE, receipt=receipt)[-1] == " · ".join([FACTS, *text])
    assert shown(DONE, 0, receipt)[-1] == " · ".join([FACTS, *text, f"job {ID}"])


@pytest.mark.parametrize(
    ("price", "reserved", "text"),
    [
        (7500, 0, "Nothing was charged: 7.5 credits are released."),
        (1000, 0, "Nothing was charged: 1 credit is released."),
        (
            7500,
            2500,
            "Nothing was charged: 5 credits are released. "
            "Up to 2.5 credits may be charged within a day, if Oxen.ai still finishes the job.",
        ),
        (
            2500,
            2500,
            "Nothing was charged so far. "
            "Up to 2.5 credits may be charged within a day, if Oxen.ai still finishes the job.",
        ),
        (0, 0, "Nothing was charged so far."),
    ],
)
def test_a_failure_says_what_is_released_and_what_stays_reserved(
    price: int, reserved: int, text: str
) -> None:
    job = replace(FAILED, price=price)

    assert released(job, SPEC, Receipt(reserved=reserved)) == text


def test_a_cost_is_estimated_by_the_job_or_by_the_receipt() -> None:
    estimated = replace(DONE, estimated=True)

    assert cost_of(DONE) == cost_of(DONE, Receipt()) == "7.5 credits"
    assert cost_of(estimated) == cost_of(estimated, Receipt()) == "about 7.5 credits"
    assert cost_of(DONE, Receipt(estimated=True)) == "about 7.5 credits"
    assert cost_of(replace(DONE, cost=None)) == "0 credits"
    assert cost_of(replace(DONE, locale="de")) == "7,5 credits"


def test_a_failure_has_the_event_the_remedy_and_no_edit() -> None:
    view = failed_view(FAILED, SPEC, Receipt(left=1000))

    assert texts_of(view) == [
        "<@1> Oxen.ai refused this prompt or picture. Change it and try again. "
        "Nothing was charged: 7.5 credits are released.\n> a fox",
        f"-# {TITLE} · 1 credit left · job {ID}",
    ]
    assert rows_of(view) == [BUTTONS[:2]]
    assert is_amber(view)


def test_a_remark_goes_before_the_reason_of_a_failure() -> None:
    remarked = replace(FAILED, remark="The server says no.")

    assert text_of(failed_view(remarked, SPEC, Receipt())).startswith("<@1> The server says no. N")
    unknown = replace(FAILED, reason=None)
    assert text_of(failed_view(unknown, SPEC, Receipt())).startswith(
        "<@1> Oxen.ai could not make this picture. Please try again. Nothing"
    )


def test_a_job_is_shown_to_its_requester_and_to_others() -> None:
    job = with_options(DONE, seed=5, aspect_ratio="16:9")
    heading = f"**Done** <t:{DONE_AT}:R>\n> a fox"
    facts = f"AI-generated · {TITLE} · seed 5 · 42 s · 7.5 credits · job {ID}"
    options = r"seed 5 · aspect_ratio 16\:9"

    own = job_view(job, SPEC, uploads(1), own=True)
    assert texts_of(own) == [heading, options, f"-# {facts}"]
    assert len(media_of(own)) == 1
    others = job_view(job, SPEC, uploads(1), own=False)
    assert texts_of(others) == [heading, options, f"-# by <@1> · {facts}"]


def test_the_buttons_of_a_shown_job_are_those_of_its_result() -> None:
    rows = {
        status: rows_of(job_view(replace(DONE, status=status), SPEC, uploads(0), own=True))
        for status in JobStatus
    }

    assert {status for status, row in rows.items() if row} == {
        JobStatus.SUCCEEDED,
        JobStatus.FAILED,
    }
    assert rows[JobStatus.SUCCEEDED] == [[*BUTTONS, MORE]]
    assert rows[JobStatus.FAILED] == [BUTTONS[:2]]


def test_a_shown_job_says_why_it_has_no_pictures() -> None:
    for status, canceled_by, remarks in (
        (JobStatus.SUCCEEDED, 2, []),
        (
            JobStatus.FAILED,
            2,
            ["Oxen.ai refused this prompt or picture. Change it and try again."],
        ),
        (JobStatus.CANCELED, None, []),
        (JobStatus.CANCELED, 2, ["A moderator canceled this job. Nothing was charged."]),
    ):
        job = replace(FAILED, status=status, canceled_by=canceled_by)
        for own in (True, False):
            assert texts_of(job_view(job, SPEC, uploads(0), own=own))[1:-1] == remarks


def test_a_job_that_has_not_ended_is_dated_by_its_request() -> None:
    waiting = replace(DONE, settled_at=None, status=JobStatus.QUEUED)

    assert text_of(job_view(waiting, SPEC, uploads(0), own=True)).startswith(
        f"**Queued** <t:{DONE_AT - 42}:R>\n"
    )


def test_the_requester_reads_why_the_result_is_nowhere() -> None:
    not_posted = replace(
        DONE, delivered_at=None, result_message_id=None, delivery_error="Missing *Access*"
    )
    trying = (
        "The result is not posted yet, because Discord does not accept it at the moment. "
        "The bot will try again."
    )
    stored = r"The result could not be posted, and is stored here. Missing \*Access\*."
    cases = [
        (not_posted, [trying]),
        (replace(not_posted, delivered_at=NOW), [stored]),
        (replace(not_posted, result_message_id=50), []),
        (replace(not_posted, status=JobStatus.CANCELED), []),
        (replace(not_posted, delivery_error=None), []),
    ]

    for job, remarks in cases:
        assert texts_of(job_view(job, SPEC, uploads(1), own=True))[1:-1] == remarks
        assert texts_of(job_view(job, SPEC, uploads(1), own=False))[1:-1] == []


def test_a_prompt_is_quoted_longer_where_it_is_the_subject() -> None:
    job = with_prompt(DONE, "x" * 1300)
    alone = texts_of(job_view(job, SPEC, uploads(0), own=True))[0]

    assert shown(job)[0] == f"<@1>\n> {'x' * 349}…"
    assert alone.endswith(f"\n> {'x' * 1199}…")
    assert shown(with_prompt(DONE, "x" * 350))[0] == f"<@1>\n> {'x' * 350}"


def test_the_values_of_a_shown_job_are_shortened() -> None:
    options = with_options(DONE, negative_prompt="x" * 81)
    assert texts_of(job_view(options, SPEC, uploads(0), own=True))[1] == (
        f"negative_prompt {'x' * 79}…"
    )
    refused = replace(DONE, result_message_id=None, delivery_error="x" * 501)
    assert f" {'x' * 499}…." in texts_of(job_view(refused, SPEC, uploads(0), own=True))[1]


def test_a_spoiler_hides_the_pictures() -> None:
    view = result_view(replace(DONE, spoiler=True), SPEC, uploads(1), Receipt(), missing=0)

    assert media_of(view) == [("attachment://1.png", "AI-generated: a fox", True)]
