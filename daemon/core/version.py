"""Which houseband this is."""

from __future__ import annotations


def installed_version() -> str:
    """The version that is installed."""
    from importlib.metadata import PackageNotFoundError, version  # here, for it is slow to load and seldom asked

    try:
        return version("houseband")
    except PackageNotFoundError:  # run from a checkout
        return "(not installed)"
