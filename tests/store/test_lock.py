import os
import subprocess
import sys
from pathlib import Path

import pytest

from bot.errors import StartupError
from bot.store.database_file import InstanceLock

HOLD = """
import sys
from pathlib import Path
from bot.store.database_file import InstanceLock
with InstanceLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "easel.db"
    with subprocess.Popen(  # noqa: S603  # our own interpreter
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"held\n"

        with pytest.raises(StartupError, match=f"process {first.pid}"), InstanceLock(path):
            pass

        first.kill()
    with InstanceLock(path):  # whatever ended the first, its lock is gone with it
        assert (tmp_path / "easel.db.pid").read_text() == str(os.getpid())


def test_it_can_be_had_again_after_a_stop(tmp_path: Path) -> None:
    path = tmp_path / "easel.db"
    for _ in range(2):
        with InstanceLock(path):
            pass

    assert not (tmp_path / "easel.db.pid").exists()
