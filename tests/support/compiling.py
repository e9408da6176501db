"""One cache of compiled statements for all databases that a process of tests opens.

Easel opens one database; the tests open thousands, and each would compile every statement again.
"""

from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.util import LRUCache

CAPACITY = 3000  # statements: more than Easel and its audit have


class SharedCache(LRUCache[tuple[Any, ...], Any]):
    """A cache whose keys name the class of a dialect in place of each engine's own dialect."""

    def get(self, key: tuple[Any, ...], default: Any = None) -> Any:  # noqa: ANN401
        return super().get(_of_class(key), default)

    def __setitem__(self, key: tuple[Any, ...], value: object) -> None:
        super().__setitem__(_of_class(key), value)


def _of_class(key: tuple[Any, ...]) -> tuple[Any, ...]:
    dialect, *rest = key
    return (type(dialect), *rest)


def share_compiled() -> None:
    """Let every engine of this process use one cache, from its next connection on."""
    cache = SharedCache(CAPACITY)

    @event.listens_for(Engine, "engine_connect")
    def use(connection: Connection) -> None:
        connection.execution_options(compiled_cache=cache)
