"""The findings of a check, as lines for a screen or as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


DATABASE = "database"
MIB = 1024 * 1024
GIB = 1024 * MIB


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


STYLES = {State.OK: "green", State.WARNING: "yellow", State.WRONG: "bold red"}


@dataclass(frozen=True, slots=True)
class Line:
    """A finding. `about` is a word or two; `remedy` is empty if nothing need be done."""

    state: State
    about: str
    finding: str
    remedy: str = ""
    quiet: bool = False  # only in JSON, not on a screen


def ok(about: str, finding: str) -> Line:
    return Line(State.OK, about, finding)


def warning(about: str, finding: str, remedy: str) -> Line:
    return Line(State.WARNING, about, finding, remedy)


def wrong(about: str, finding: str, remedy: str) -> Line:
    return Line(State.WRONG, about, finding, remedy)


def size_text(size: int) -> str:
    if size >= GIB:
        return f"{size / GIB:.1f} GiB"
    return f"{size / MIB:.1f} MiB"


def exit_code(lines: Sequence[Line]) -> int:
    return int(any(line.state is State.WRONG for line in lines))


def as_json(lines: Sequence[Line]) -> str:
    shown = [
        {name: value for name, value in asdict(line).items() if name != "quiet"} for line in lines
    ]
    return json.dumps({"ok": not exit_code(lines), "lines": shown}, indent=2, ensure_ascii=False)


def show(lines: Sequence[Line], console: "Console") -> None:
    """Print each line with the remedy below; in colours only on a terminal."""
    from rich.text import Text  # only where used: JSON does without

    shown = [line for line in lines if not line.quiet]
    width = max((len(line.about) for line in shown), default=0)
    for line in shown:
        text = Text.assemble((f"{line.state:<8}", STYLES[line.state]))
        text.append(f" {line.about:<{width}}  {line.finding}")
        if line.remedy:
            text.append(f"\n{'':<8} {'':<{width}}  {line.remedy}", style="dim")
        console.print(text, soft_wrap=True)
    console.print(Text(_summary(lines), style="bold"), soft_wrap=True)


def _summary(lines: Sequence[Line]) -> str:
    count = {state: sum(line.state is state for line in lines) for state in State}
    if count[State.WRONG]:
        return f"{count[State.WRONG]} wrong, {_warnings(count[State.WARNING])}."
    if count[State.WARNING]:
        return f"Easel can run; {_warnings(count[State.WARNING])}."
    return "All is well."


def _warnings(number: int) -> str:
    return f"{number} warning{'' if number == 1 else 's'}"
