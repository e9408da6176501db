"""Transport compression of the gateway: one context for a whole connection, flushed per message."""

import importlib
import zlib
from typing import Any, Protocol


class Stream(Protocol):
    """The compressing end of a connection."""

    def compress(self, text: bytes) -> bytes:
        """Return one message, complete for a client that has all messages before."""
        ...


class ZlibStream:
    def __init__(self) -> None:
        self._context = zlib.compressobj()

    def compress(self, text: bytes) -> bytes:
        return self._context.compress(text) + self._context.flush(zlib.Z_SYNC_FLUSH)


class StandardZstdStream:
    """Zstandard by the standard library, from Python 3.14 on."""

    def __init__(self, module: Any) -> None:  # noqa: ANN401 - absent from older Pythons
        self._context = module.ZstdCompressor()

    def compress(self, text: bytes) -> bytes:
        data: bytes = self._context.compress(text, mode=self._context.FLUSH_BLOCK)
        return data


class PackagedZstdStream:
    """Zstandard by the package `zstandard`, which clients on older Pythons install."""

    def __init__(self, module: Any) -> None:  # noqa: ANN401 - an optional package
        self._context = module.ZstdCompressor().compressobj()
        self._flush = module.COMPRESSOBJ_FLUSH_BLOCK

    def compress(self, text: bytes) -> bytes:
        data: bytes = self._context.compress(text) + self._context.flush(self._flush)
        return data


def open_stream(name: str | None) -> Stream | None:
    """Return the compression that a client requests; None for plain text.

    Raise LookupError for a compression that is unknown, or that no installed library offers.
    """
    if name is None:
        return None
    if name == "zlib-stream":
        return ZlibStream()
    if name != "zstd-stream":
        raise LookupError(name)
    try:
        return StandardZstdStream(importlib.import_module("compression.zstd"))
    except ImportError:
        pass
    try:
        return PackagedZstdStream(importlib.import_module("zstandard"))
    except ImportError:
        raise LookupError(name) from None
