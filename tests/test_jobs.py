import re
from collections.abc import Iterator
from itertools import product

import pytest

from bot.jobs import ACTIVE, JOB_ID_PATTERN, NEXT, Attachment, JobStatus, new_job_id, sources


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
