"""Which houseband this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def house_version() -> str:
    """The version that is installed."""
    try:
        return version("houseband")
    except PackageNotFoundError:  # run from a checkout
        return "(not installed)"
