"""The audit of the settings and rights of servers."""

import json
from pathlib import Path

import pytest

from tests.support.books import change, findings

UTC = ["2026-11-20T12:00:00Z", "UTC"]
TOKYO = ["2026-11-21T12:00:00Z", "Asia/Tokyo"]


@pytest.mark.parametrize(
    ("subject", "name"),
    [
        ("default", "x"),
        ("tier", ""),
        ("role", ""),
        ("role", "-5"),
        ("role", "artist"),
        ("member", ""),
        ("member", "--5"),
        ("member", "ada"),
    ],
)
async def test_a_name_that_is_none_is_found(empty_file: Path, subject: str, name: str) -> None:
    change(empty_file, f"INSERT INTO rights VALUES (10, '{subject}', '{name}', '{{}}')")  # noqa: S608

    assert await findings(empty_file) == [
        f"row 10, {subject}, {name} of rights: “{name}” is not the name of a {subject}"
    ]


@pytest.mark.parametrize(
    ("subject", "name"),
    [
        ("default", ""),
        ("tier", "guest"),
        ("tier", "5"),
        ("role", "77"),
        ("member", "5"),
        ("member", "-5"),
    ],
)
async def test_the_name_of_a_subject_is_right(empty_file: Path, subject: str, name: str) -> None:
    change(empty_file, f"INSERT INTO rights VALUES (10, '{subject}', '{name}', '{{}}')")  # noqa: S608

    assert await findings(empty_file) == []


async def test_rights_may_have_two_faults_at_once(empty_file: Path) -> None:
    change(empty_file, "INSERT INTO rights VALUES (10, 'planet', 'x', '[]')")

    assert await findings(empty_file) == [
        "file: CHECK constraint failed in rights",
        "row 10, planet, x of rights: has rights that cannot be read",
        "row 10, planet, x of rights: “planet” is no kind of subject",
    ]


@pytest.mark.parametrize("zones", [[], [TOKYO], [UTC, TOKYO], [UTC, [UTC[0], TOKYO[1]]]])
async def test_time_zones_in_order_are_right(empty_file: Path, zones: list[list[str]]) -> None:
    settings = json.dumps({"zones": zones})
    change(empty_file, f"INSERT INTO servers VALUES (10, '{settings}')")  # noqa: S608

    assert await findings(empty_file) == []


async def test_the_first_of_several_strange_time_zones_is_named(empty_file: Path) -> None:
    zones = [[UTC[0], "Mars/Olympus"], [TOKYO[0], "Asia/Atlantis"]]
    settings = json.dumps({"zones": zones})
    change(empty_file, f"INSERT INTO servers VALUES (10, '{settings}')")  # noqa: S608

    assert await findings(empty_file) == [
        "row 10 of servers: has the time zone “Asia/Atlantis”, which does not exist"
    ]
