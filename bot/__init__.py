"""Easel: a Discord bot that makes and edits pictures through image APIs.

`bot` holds everything but the commands and the looks, which are in `cogs`. Imports go downwards
only, from the command line to the errors; `tests/test_architecture.py` lists the layers.
"""

from importlib.metadata import PackageNotFoundError, version


def package_version(package: str) -> str:
    """Return the version of an installed package, or "0" if the package is not installed.

    Easel itself is not installed if it runs from a checkout.
    """
    try:
        return version(package)
    except PackageNotFoundError:
        return "0"
