import re
from itertools import product

import pytest

from bot.jobs import ACTIVE, JOB_ID_PATTERN, NEXT, JobStatus, new_job_id, sources


def test_an_id_fits_nonces_custom_ids_and_file_names() -> None:
    ids = {new_job_id() for _ in range(200)}

    assert len(ids) == 200
    assert all(re.fullmatch(JOB_ID_PATTERN, each) for each in ids)


def test_settled_are_just_those_without_a_further_move() -> None:
    settled = {status for status in JobStatus if status.settled}

    assert settled == {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELED}
    assert settled.isdisjoint(ACTIVE)


@pytest.mark.parametrize(("source", "target"), list(product(JobStatus, JobStatus)))
def test_sources_are_the_moves_turned_round(source: JobStatus, target: JobStatus) -> None:
    assert (source in sources(target)) == (target in NEXT[source])
