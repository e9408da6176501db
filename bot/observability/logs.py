"""Logging: one format for all lines, those of libraries included, without secrets and prompts.

Secrets are found by their values, interaction tokens by the addresses that contain them, and the
prompts of the current task by their text: an API's error or a traceback may repeat a prompt.
"""

import json
import logging
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping, Set
from contextvars import ContextVar
from functools import lru_cache
from types import TracebackType
from typing import Any
from unicodedata import normalize

import stamina
import structlog
from structlog.typing import EventDict, Processor

log = logging.getLogger(__name__)

__all__ = ["bind", "hide", "start_logging"]

# Below these levels, discord.py's loggers write tokens, SQLAlchemy's write prompts, and Pillow's
# write parts of files.
LEAST: Mapping[str, int] = {
    **dict.fromkeys(("discord", "PIL"), logging.INFO),
    **dict.fromkeys(
        ("sqlalchemy", "aiosqlite", "alembic", "asyncio", "discord.client"), logging.WARNING
    ),
}


def bind(**fields: object) -> None:
    """Add fields, such as the job's id, to every line of the current task from now on."""
    structlog.contextvars.bind_contextvars(**fields)


def start_logging(level: str, form: str, secrets: Iterable[str]) -> None:
    """Log to standard error, in the format `console` or `json`, without any of `secrets`."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                # Python's own traceback, without the values of local variables.
                structlog.processors.StackInfoRenderer(),
                structlog.processors.format_exc_info,
                _Redaction(secrets),
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _renderer(form),
            ],
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    stamina.instrumentation.set_on_retry_hooks([])  # the callers log the outcome
    for name, least in LEAST.items():
        logging.getLogger(name).setLevel(max(least, logging.getLevelName(level)))
    sys.excepthook = _log_the_end


def _renderer(form: str) -> Processor:
    if form == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(),
        pad_event_to=0,
        exception_formatter=structlog.dev.plain_traceback,
    )


class _Redaction:
    """Removes secrets, tokens and prompts from all texts of a line."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = tuple(filter(None, secrets))

    def __call__(
        self,
        _: object,
        __: str,
        line: MutableMapping[str, Any],
    ) -> EventDict:
        return {
            name: redact(value, self._secrets) if isinstance(value, str) else value
            for name, value in line.items()
        }


def _log_the_end(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Log an uncaught exception like any other line."""
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger(__name__).critical(
        "Easel ends because of an error", exc_info=(kind, error, trace)
    )


# A token is the second part after /webhooks/ and /interactions/ in Discord's addresses, and
# begins with "interaction:" in base64.
TOKENS = (
    re.compile(r"(?P<before>/(?:webhooks|interactions)/\d+/)(?!@)[\w.\-]{8,}"),
    re.compile(r"(?P<before>)aW50ZXJhY3Rpb246[\w\-]{8,}"),
)
# A shorter prompt is a common word, and its removal would garble unrelated lines.
SHORTEST = 8  # characters
HEAD = 24  # characters that identify a prompt; the rest may be cut off
REMEMBERED = 16_384  # characters of the prompts of a task whose pieces stay in memory
PIECE = 12  # characters of any part of a prompt: a line may quote a service or a library

_hidden: ContextVar[tuple[str, ...]] = ContextVar("hidden", default=())


def hide(*texts: str) -> None:
    """Redact these prompts from the lines of the current task, from now on."""
    forms = (form for text in texts for form in _forms(text) if len(form) >= SHORTEST)
    _hidden.set((*_hidden.get(), *dict.fromkeys(forms)))


def redact(text: str, secrets: Iterable[str]) -> str:
    """Return the text with markers in place of secrets, tokens and hidden prompts.

    Any PIECE characters of a prompt are replaced too.
    """
    for secret in secrets:
        text = text.replace(secret, "[secret]")
    for pattern in TOKENS:
        text = pattern.sub(r"\g<before>[token]", text)
    prompts = _hidden.get()
    for prompt in prompts:
        text = _without(text, prompt)
    is_small = sum(map(len, prompts)) <= REMEMBERED
    return _without_pieces(text, _pieces(prompts) if is_small else _pieces_in(text, prompts))


@lru_cache(maxsize=64)
def _pieces(prompts: tuple[str, ...]) -> frozenset[str]:
    return frozenset(
        prompt[at : at + PIECE] for prompt in prompts for at in range(len(prompt) - PIECE + 1)
    )


def _pieces_in(text: str, prompts: tuple[str, ...]) -> Set[str]:
    """Return the pieces of many prompts that a text has: all of them would take much memory."""
    parts = {text[at : at + PIECE] for at in range(len(text) - PIECE + 1)}
    pieces = (
        prompt[at : at + PIECE] for prompt in prompts for at in range(len(prompt) - PIECE + 1)
    )
    return parts.intersection(pieces)


def _without_pieces(text: str, known: Set[str]) -> str:
    """Remove all parts of prompts that are in `known`, of PIECE characters each, or longer."""
    if not known:
        return text
    shown: list[str] = []
    at = end = 0
    while at < len(text):
        if text[at : at + PIECE] in known:
            if at >= end:
                shown.append("[prompt]")
            end = at + PIECE
        if at >= end:
            shown.append(text[at])
        at += 1
    return "".join(shown)


def _forms(prompt: str) -> set[str]:
    """Return the forms of a prompt in a log: as typed, on one line, in JSON and in a `repr`.

    Services write a letter with an accent as one character, or as two.
    """
    typed = {prompt, normalize("NFC", prompt), normalize("NFD", prompt)}
    return typed | {
        form
        for text in typed
        for form in (
            " ".join(text.split()),
            json.dumps(text)[1:-1],
            json.dumps(text, ensure_ascii=False)[1:-1],
            repr(text)[1:-1],
        )
    }


def _without(text: str, prompt: str) -> str:
    """Remove a prompt, also one whose end was cut off."""
    head = prompt[:HEAD]
    start = text.find(head)
    while start >= 0:
        end = start + len(head)
        while text[end : end + 1] and text[end : end + 1] == prompt[end - start : end - start + 1]:
            end += 1
        text = f"{text[:start]}[prompt]{text[end:]}"
        start = text.find(head, start + len("[prompt]"))
    return text
