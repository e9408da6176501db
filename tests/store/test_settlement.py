"""Money and settled states have one home: no other module writes them (bot/store/settlement.py)."""

import ast
from pathlib import Path
from typing import get_type_hints

from bot.jobs import SETTLED
from bot.ledger import EntryKind
from bot.store.jobs import Columns
from bot.store.tables import jobs
from tests.test_architecture import ROOT, module_of, sources, tree_of

STORE = ROOT / "bot" / "store"
SETTLEMENT, JOBS, LEDGER = STORE / "settlement.py", STORE / "jobs.py", STORE / "ledger.py"
HOLDS = STORE / "holds.py"
READERS = {
    STORE / "stats.py",
    STORE / "balances.py",
    STORE / "losses.py",
    STORE / "reports.py",
    STORE / "usage.py",
    STORE / "exporting.py",
    STORE / "erasure_requests.py",
    ROOT / "bot" / "worker" / "receipts.py",
    *(STORE / "audit").glob("*.py"),
}  # name kinds in order to read or sum them
MONEY = {EntryKind.RELEASE, EntryKind.CAPTURE, EntryKind.ADJUSTMENT, EntryKind.LOSS}


def calls(path: Path) -> list[ast.Call]:
    return [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)]


def name_of(call: ast.Call) -> str:
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case other:
            return ast.unparse(other)


def attributes(node: ast.AST, owner: str) -> set[str]:
    """The members of an enum, such as `JobStatus.FAILED`, that are named below a node."""
    return {
        each.attr
        for each in ast.walk(node)
        if isinstance(each, ast.Attribute)
        and isinstance(each.value, ast.Name)
        and each.value.id == owner
    }


ERASURE = STORE / "erasure.py"  # replaces ids by pseudonyms, and blanks texts
# Everything that can write a status or an entry, and the modules that may name it.
WRITES = {
    "bot.store.jobs": ({"move", "change", "MOVES", "UPDATE"}, {SETTLEMENT, JOBS}),
    "bot.store.ledger": ({"append", "entry_of", "APPEND"}, {SETTLEMENT, LEDGER, HOLDS}),
    "bot.store.tables": ({"ledger"}, {LEDGER, ERASURE, *READERS}),
}
QUEUE = STORE / "queue.py"


def uses(path: Path, module: str) -> set[str]:
    """The names of a module that a file imports, or reaches through the module."""
    package, _, name = module.rpartition(".")
    nodes = list(ast.walk(tree_of(path)))
    found: set[str] = set()
    aliases: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module == module:
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == package:
            aliases |= {alias.asname or name for alias in node.names if alias.name == name}
        elif isinstance(node, ast.Import):
            aliases |= {alias.asname or module for alias in node.names if alias.name == module}
    for node in nodes:
        if aliases and isinstance(node, ast.Attribute) and ast.unparse(node.value) in aliases:
            found.add(node.attr)
    return found


def test_only_the_named_modules_can_write_a_status_or_an_entry() -> None:
    for path in sources():
        for module, (names, allowed) in WRITES.items():
            if path not in allowed and path != ROOT / Path(*module.split(".")).with_suffix(".py"):
                assert not uses(path, module) & names, (module_of(path), module)
        # These set leases and tokens, claim, or blank texts.
        others = {
            STORE / name for name in ("claims.py", "leases.py", "prompts.py", "inputs_of_others.py")
        }
        if path not in {JOBS, QUEUE, ERASURE, *others}:
            found = [call for call in calls(path) if name_of(call) == "update"]
            assert "update(jobs)" not in map(ast.unparse, found), module_of(path)


def test_only_the_settlement_names_settled_statuses_and_their_entries_in_a_write() -> None:
    settled = {status.name for status in SETTLED}
    money = {kind.name for kind in MONEY}
    for path in sources():
        if path == SETTLEMENT:
            continue
        place = module_of(path)
        for call in calls(path):
            if name_of(call) in {"move", "change", "values", "update", "execute"}:
                assert not attributes(call, "JobStatus") & settled, (place, ast.unparse(call))
            if name_of(call) in {"entry_of", "append", "LedgerEntry"}:
                assert not attributes(call, "EntryKind") & money, (place, ast.unparse(call))
        if path not in READERS and path.name != "ledger.py":
            assert not attributes(tree_of(path), "EntryKind") & money, place


def test_the_named_writes_of_jobs_and_of_the_queue_set_no_settled_status() -> None:
    """`jobs.move` is called for the unsettled states alone; a hold appends holds alone."""
    moved = [call for call in calls(JOBS) if name_of(call) == "move"]
    targets = {name for call in moved for name in attributes(call, "JobStatus")}
    assert targets == {"QUEUED", "RUNNING"}

    appended = [call for call in calls(HOLDS) if name_of(call) == "entry_of"]
    kinds = [attributes(call, "EntryKind") for call in appended]
    assert kinds
    assert all(each == {"HOLD"} for each in kinds)

    updates = [call for call in calls(QUEUE) if name_of(call) == "values"]
    assert updates
    assert not [each for each in updates if "status" in ast.unparse(each)]


def test_the_settlement_writes_each_of_them() -> None:
    """The two tests above look for the right words."""
    tree = tree_of(SETTLEMENT)

    assert attributes(tree, "EntryKind") >= {kind.name for kind in MONEY}
    assert attributes(tree, "JobStatus") >= {status.name for status in SETTLED}


def test_the_typed_columns_are_columns_of_the_table() -> None:
    assert get_type_hints(Columns).keys() <= set(jobs.c.keys())
