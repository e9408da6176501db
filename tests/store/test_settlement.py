"""Money and settled states have one home: no other module writes them (bot/store/settlement.py)."""

import ast
from pathlib import Path
from typing import get_type_hints

import pytest

from bot.jobs import SETTLED
from bot.ledger import EntryKind
from bot.store.jobs import Columns
from bot.store.tables import jobs
from tests.test_architecture import ROOT, module_of, sources

SETTLEMENT = ROOT / "bot" / "store" / "settlement.py"
JOBS = ROOT / "bot" / "store" / "jobs.py"
LEDGER = ROOT / "bot" / "store" / "ledger.py"
READERS = {"ledger.py", "stats.py"}  # name kinds of entries in order to sum them
MONEY = {EntryKind.RELEASE, EntryKind.CAPTURE, EntryKind.ADJUSTMENT}


def calls(path: Path) -> list[ast.Call]:
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)


def attributes(node: ast.AST, owner: str) -> set[str]:
    """The members of an enum, such as `JobStatus.FAILED`, that are named below a node."""
    return {
        each.attr
        for each in ast.walk(node)
        if isinstance(each, ast.Attribute) and ast.unparse(each.value) == owner
    }


@pytest.mark.parametrize("path", sources(), ids=module_of)
def test_only_the_settlement_moves_a_job_to_a_settled_status(path: Path) -> None:
    if path == SETTLEMENT:
        return
    settled = {status.name for status in SETTLED}
    for call in calls(path):
        if name_of(call) in {"move", "change", "values", "update"}:
            assert not attributes(call, "JobStatus") & settled, ast.unparse(call)
        if name_of(call) == "move":
            assert path == JOBS, ast.unparse(call)  # the named writes of unsettled states


@pytest.mark.parametrize("path", sources(), ids=module_of)
def test_only_the_settlement_writes_releases_captures_and_adjustments(path: Path) -> None:
    if path == SETTLEMENT:
        return
    for call in calls(path):
        if name_of(call) in {"entry_of", "append", "LedgerEntry"}:
            kinds = attributes(call, "EntryKind")
            assert not kinds & {kind.name for kind in MONEY}, ast.unparse(call)
    if path.parent == LEDGER.parent and path.name not in READERS:
        assert not attributes(ast.parse(path.read_text()), "EntryKind"), path.name
    writes = [call for call in calls(path) if "insert(ledger)" in ast.unparse(call)]
    assert not writes or path == LEDGER


def test_the_settlement_writes_each_of_them() -> None:
    """The two tests above look for the right words."""
    tree = ast.parse(SETTLEMENT.read_text())

    assert attributes(tree, "EntryKind") >= {kind.name for kind in MONEY}
    assert attributes(tree, "JobStatus") >= {status.name for status in SETTLED}


def test_the_typed_columns_are_columns_of_the_table() -> None:
    assert get_type_hints(Columns).keys() <= set(jobs.c.keys())
