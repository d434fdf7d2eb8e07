"""The version of the program."""

from __future__ import annotations


def find_installed_version() -> str:
    """Return the version of the installed package, `(not installed)` for a checkout that is run as it is."""
    from importlib.metadata import PackageNotFoundError, version  # here, for it is slow to load and seldom asked

    try:
        return version("houseband")
    except PackageNotFoundError:  # run from a checkout
        return "(not installed)"
