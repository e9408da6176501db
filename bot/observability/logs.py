"""Every line of the log, ours and the libraries', in one form: for people or as JSON."""

import logging
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

import stamina
import structlog
from structlog.typing import EventDict, Processor

from bot.observability.redact import hide, redact

__all__ = ["about", "bind", "hide", "start_logging"]

# Below these, discord.py's loggers show tokens, and SQLAlchemy's members' prompts.
LEAST: Mapping[str, int] = {
    "discord": logging.INFO,
    **dict.fromkeys(
        ("sqlalchemy", "aiosqlite", "alembic", "asyncio", "discord.client"), logging.WARNING
    ),
}
WIDTH = 0  # columns that a message is filled up to on the console


def about(**fields: object) -> AbstractContextManager[None]:
    """Put fields, such as the job's id, on every line that is written within the block."""
    return structlog.contextvars.bound_contextvars(**fields)


def bind(**fields: object) -> None:
    """The same until the task at work ends: for tasks that serve one interaction."""
    structlog.contextvars.bind_contextvars(**fields)


def start_logging(level: str, form: str, secrets: Iterable[str]) -> None:
    """Log to standard error, in the form `console` or `json`, and never any of `secrets`."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                # The traceback as Python writes it: without the values of local variables.
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
    stamina.instrumentation.set_on_retry_hooks([])  # we log what comes of it ourselves
    for name, least in LEAST.items():
        logging.getLogger(name).setLevel(max(least, logging.getLevelName(level)))
    sys.excepthook = _log_the_end


def _renderer(form: str) -> Processor:
    if form == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(),
        pad_event_to=WIDTH,
        exception_formatter=structlog.dev.plain_traceback,
    )


class _Redaction:
    """Takes out of all texts of a line what must not be read there."""

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
    """What nobody caught is a line like all others."""
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger(__name__).critical("Easel ends by an error", exc_info=(kind, error, trace))
