"""Members' sentences have one home, cogs/ui/wording, where a translator finds them whole."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

import bot.app  # noqa: F401  # imports every UserError class
from bot.errors import UserError
from cogs.ui import wording
from cogs.ui.wording import Plural, plural

ROOT = Path(__file__).parent.parent.parent
WORDING = sorted((ROOT / "cogs" / "ui" / "wording").glob("*.py"))
FILES = [path for path in sorted((ROOT / "cogs").rglob("*.py")) if path not in WORDING]
ALLOWED = {"Send Messages in Threads", "Read Message History"}  # Discord's names of permissions


def is_not_shown(node: ast.AST) -> bool:
    """Return true for code whose texts no member reads.

    Log calls are for the operator, and so are exceptions that are raised with a text: a UserError
    that members read is raised without one, because the class holds the sentence.
    """
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name("log"))):
            return True
        case ast.Raise():
            return True
        case ast.ClassDef(bases=[ast.Name(base)]):
            return any(error.__name__ == base for error in errors(UserError))
    return False


def errors(base: type[UserError]) -> Iterator[type[UserError]]:
    yield base
    for each in base.__subclasses__():
        yield from errors(each)


def texts(node: ast.AST) -> Iterator[str]:
    """Yield the texts of code except docstrings; placeholders of an f-string become a word."""
    if is_not_shown(node):
        return
    match node:
        case ast.JoinedStr(values=values):
            yield "".join(
                str(each.value) if isinstance(each, ast.Constant) else "_" for each in values
            )
            return
        case ast.Expr(value=ast.Constant()):  # a docstring
            return
        case ast.Constant(value=str(text)):
            yield text
    for child in ast.iter_child_nodes(node):
        yield from texts(child)


def is_prose(text: str) -> bool:
    return len(re.findall(r"[A-Za-z][a-z]+", text)) > 2 and " " in text.strip()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_sentence_stands_outside_the_wording(path: Path) -> None:
    found = {text for text in texts(ast.parse(path.read_text())) if is_prose(text)}

    assert found - ALLOWED == set()


def sentences() -> Iterator[str]:
    for path in WORDING:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_every_placeholder_has_a_name() -> None:
    names = [name for text in sentences() for _, name, _, _ in Formatter().parse(text)]

    assert any(names)
    assert [name for name in names if name is not None and not name.isidentifier()] == []


def test_both_forms_of_a_plural_have_the_same_placeholders() -> None:
    """Except for the number, which the form for one may write out."""
    for group in vars(wording).values():
        for pair in vars(group).values() if isinstance(group, type) else ():
            if isinstance(pair, Plural):
                assert "{count}" in pair.many
                assert plural(pair, 1) == pair.one
                assert "{" not in plural(pair, 2)


def test_descriptions_fit_into_discords_limit() -> None:
    for group in (wording.Command, wording.Argument):
        for name, text in vars(group).items():
            if name.isupper():
                assert 1 <= len(text) <= 100, name
