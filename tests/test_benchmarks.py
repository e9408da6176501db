"""The figures of the benchmarks; the benchmarks themselves are run by hand."""

import importlib
import inspect
import json
from pathlib import Path

import pytest

from tests.benchmarks.__main__ import NAMES, machine
from tests.benchmarks.figures import Figure, markdown, read, write


@pytest.mark.parametrize("name", NAMES)
def test_each_benchmark_reports_figures(name: str) -> None:
    figures = importlib.import_module(f"tests.benchmarks.{name}").figures

    assert inspect.iscoroutinefunction(figures)
    assert "small" in inspect.signature(figures).parameters


@pytest.mark.parametrize(
    ("figure", "reached"),
    [
        (Figure("lag", 0.15, "s", at_most=0.15), True),
        (Figure("lag", 0.151, "s", at_most=0.15), False),
        (Figure("posts", 45, "posts/s", at_least=45), True),
        (Figure("posts", 44.9, "posts/s", at_least=45), False),
        (Figure("size", 3, "MB"), None),
    ],
)
def test_a_figure_is_compared_with_the_value_to_reach(figure: Figure, reached: bool | None) -> None:
    assert figure.reached is reached
    assert ("MISSED" in figure.line()) is (reached is False)


def test_figures_are_written_with_the_machine(tmp_path: Path) -> None:
    figures = [Figure("lag", 0.1, "s", at_most=0.15, beside={"seed loop": 2.5}), Figure("n", 1, "")]
    path = tmp_path / "benchmarks.json"
    write(path, machine(), figures)

    assert read(path) == figures
    stored = json.loads(path.read_text())
    assert stored["machine"]["cores"] >= 1
    assert stored["figures"][0]["reached"] is True


def test_figures_become_rows_of_markdown() -> None:
    figures = [
        Figure("lag p50", 0.2, "s", at_most=0.15, beside={"seed loop": 2.53}),
        Figure("n", 1, ""),  # without a value to reach
        Figure("jobs", 10_200, "", at_least=10_200),
    ]

    _, _, first, second = markdown(figures).splitlines()
    assert first == "| lag p50 | 0.2 s | at most 0.15 MISSED | seed loop 2.53 |"
    assert second == "| jobs | 10,200 | at least 10,200 |  |"
