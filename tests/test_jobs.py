import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from bot.jobs import (
    ACTIVE,
    JOB_ID_PATTERN,
    NEXT,
    SECRETS,
    Attachment,
    GenerationRequest,
    Job,
    JobStatus,
    PictureKind,
    Route,
    attached_bytes,
    new_job_id,
    new_secret,
    plain,
    sources,
)
from tests.support.rows import NOW, new_job


def test_an_id_fits_nonces_custom_ids_and_file_names() -> None:
    ids = {new_job_id() for _ in range(200)}

    assert len(ids) == 200
    assert all(re.fullmatch(JOB_ID_PATTERN, each) for each in ids)


def test_settled_are_just_those_without_a_further_move() -> None:
    settled = {status for status in JobStatus if status.settled}

    assert settled == {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELED}
    assert settled.isdisjoint(ACTIVE)


# Written down once more, by hand: rows are the status before, columns the status after.
MOVES = """
             queued submitting running succeeded failed canceled
queued       no     yes        no      no        yes    yes
submitting   yes    no         yes     yes       yes    yes
running      no     no         no      yes       yes    yes
succeeded    no     no         no      no        no     no
failed       no     no         no      no        no     no
canceled     no     no         no      no        no     no
"""


def pairs() -> Iterator[tuple[str, str, bool]]:
    targets, *rows = (line.split() for line in MOVES.strip().splitlines())
    for source, *words in rows:
        for target, word in zip(targets, words, strict=True):
            yield source, target, word == "yes"


def test_every_pair_of_statuses_is_in_the_table() -> None:
    found = sorted((source, target) for source, target, _ in pairs())

    assert found == sorted(product(JobStatus, JobStatus))


@pytest.mark.parametrize(("source", "target", "legal"), list(pairs()))
def test_a_move_is_legal_by_the_table_alone(source: str, target: str, legal: bool) -> None:
    assert (JobStatus(source) in sources(JobStatus(target))) == legal


@pytest.mark.parametrize(("source", "target"), list(product(JobStatus, JobStatus)))
def test_sources_are_the_moves_turned_round(source: JobStatus, target: JobStatus) -> None:
    assert (source in sources(target)) == (target in NEXT[source])


def test_what_a_member_attaches_is_no_copy_of_the_bot() -> None:
    """A copy's address is used for as long as Discord serves the file, that of a member's less."""
    assert not Attachment("1.png", "https://cdn.discordapp.com/1.png").copied


def test_a_secret_and_the_next_number_are_of_one_job() -> None:
    found = {new_secret() for _ in range(100)}

    assert len(found) > 90
    assert all(each in SECRETS and each % 2 == 0 for each in found)


def test_nul_and_halves_of_surrogate_pairs_are_dropped_from_a_text() -> None:
    assert plain("a\0 f\ud83dox \udc00\U0001f98a") == "a fox \U0001f98a"


def test_a_request_is_for_one_picture_unless_it_says_otherwise() -> None:
    assert GenerationRequest("oxen", "a fox").count == 1
    assert GenerationRequest("oxen", "a fox", {"count": 3}).count == 3


def test_the_words_of_a_member_are_those_of_the_request_and_of_the_longer_prompt() -> None:
    request = GenerationRequest("oxen", "a fox", {"negative_prompt": "rain", "seed": 7})
    assert request.texts == ("a fox", "rain")
    assert GenerationRequest("oxen", "a fox").texts == ("a fox", "")
    assert job(request=request).texts == ("a fox", "rain", "")
    assert job(request=request, expanded_prompt="a red fox").texts == ("a fox", "rain", "a red fox")


def test_only_pictures_that_are_not_stored_add_bytes() -> None:
    new, unknown = Attachment("1.png", "", size=7), Attachment("2.png", "", size=None)
    stored = Attachment("3.png", "", size=100, sha256="a" * 64)

    assert attached_bytes([new, unknown, stored, new]) == 14
    assert attached_bytes([]) == 0


def test_a_token_is_used_until_the_moment_of_its_expiry() -> None:
    route = new_job().route
    last = route.token_expires_at - timedelta(microseconds=1)

    assert route.token_at(last) == "interaction-token"
    assert route.token_at(route.token_expires_at) is None


def job(**values: Any) -> Job:  # noqa: ANN401  # the fields of a job
    new = new_job()
    made = Job(
        *(new.id, JobStatus.RUNNING, new.user_id, new.route, new.request),
        *(new.provider, new.price, new.created_at),
    )
    return replace(made, **values)


def route(**values: Any) -> Route:  # noqa: ANN401  # the fields of a route
    return replace(new_job().route, **values)


OF_MESSAGE: dict[str, Any] = {"reply_to_id": 9, "token_expires_at": NOW}


def test_a_request_was_sent_at_its_newest_submit() -> None:
    later = NOW + timedelta(minutes=1)

    assert job().sent_at == NOW
    assert job(submitted_at=later).sent_at == later


@pytest.mark.parametrize(
    ("values", "of_message"),
    [
        ({}, False),
        ({"reply_to_id": 9}, False),
        (OF_MESSAGE, True),
        ({"reply_to_id": 9, "token_expires_at": NOW - timedelta(seconds=1)}, True),
        ({"reply_to_id": 9, "token_expires_at": NOW + timedelta(microseconds=1)}, False),
        ({"token_expires_at": NOW - timedelta(days=1)}, False),  # by a wrong clock
    ],
)
def test_a_job_is_that_of_a_message_if_it_replies_and_never_had_a_token(
    values: dict[str, Any], of_message: bool
) -> None:
    assert job(route=route(**values)).of_message is of_message


@pytest.mark.parametrize(
    ("values", "outlives", "seen", "alone"),
    [
        ({"guild_id": 5}, True, True, False),
        ({"guild_id": 5, "private": True}, False, False, True),
        ({"guild_id": 5, "postable": False}, False, True, False),
        ({"guild_id": 5, "postable": False, "private": True}, False, False, True),
        ({"account_server_id": 0, "guild_id": None}, True, True, True),  # direct messages
        ({"account_server_id": 0, "guild_id": 5}, True, True, False),
        ({"account_server_id": 10, "guild_id": None}, True, True, False),
        ({"account_server_id": 0, "guild_id": None, "postable": False}, False, True, False),
        ({**OF_MESSAGE, "guild_id": 5}, True, True, False),
        ({**OF_MESSAGE, "guild_id": 5, "private": True, "postable": False}, True, True, False),
    ],
)
def test_who_reads_the_status_message_and_how_long_it_can_be_edited(
    values: dict[str, Any], outlives: bool, seen: bool, alone: bool
) -> None:
    found = job(route=route(**values))

    assert (found.outlives_token, found.seen_by_others, found.read_alone) == (outlives, seen, alone)


def test_a_job_without_its_prompt_says_so() -> None:
    assert not job().prompt_removed
    assert job(request=GenerationRequest("oxen", "")).prompt_removed


def test_an_overdue_result_has_a_mark_of_its_own() -> None:
    assert job().result_mark is None
    assert job(secret=4096).result_mark == 4096
    assert job(secret=4096, overdue_at=NOW).result_mark == 4097


def test_the_channel_of_a_result_is_the_stored_one_else_that_of_a_public_request() -> None:
    assert job(result_channel_id=21).result_channel == 21
    assert job(result_channel_id=0).result_channel == 0
    assert job().result_channel == 20
    assert job(route=route(private=True)).result_channel == 0


@pytest.mark.parametrize(
    ("values", "status", "channel"),
    [
        ({}, JobStatus.SUCCEEDED, 20),
        ({}, JobStatus.FAILED, 20),
        ({}, JobStatus.CANCELED, None),
        ({"postable": False}, JobStatus.SUCCEEDED, None),
        ({"private": True}, JobStatus.SUCCEEDED, None),
        ({**OF_MESSAGE, "private": True}, JobStatus.SUCCEEDED, 20),  # in direct messages
    ],
)
def test_a_message_for_the_result_goes_where_others_see_the_request(
    values: dict[str, Any], status: JobStatus, channel: int | None
) -> None:
    assert job(route=route(**values), status=status).posts_to == channel


def test_each_kind_of_picture_has_its_media_type() -> None:
    found = [each.media_type for each in PictureKind]

    assert found == ["image/png", "image/jpeg", "image/webp", "image/gif"]
