"""Logging: one format for all lines, those of libraries included, for people or as JSON."""

import logging
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from types import TracebackType
from typing import Any

import stamina
import structlog
from structlog.typing import EventDict, Processor

from bot.observability.redact import hide, redact

log = logging.getLogger(__name__)

__all__ = ["bind", "hide", "start_logging"]

# Below these levels, discord.py's loggers write tokens, and SQLAlchemy's write prompts.
LEAST: Mapping[str, int] = {
    "discord": logging.INFO,
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
