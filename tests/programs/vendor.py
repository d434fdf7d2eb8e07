"""Renew the libraries of other people that the studio's page and the tests in a browser use.

    make vendor

Fetches the packages of PACKAGES with npm (the versions named there), and writes their files where the page finds them:
without a bundler, with imports by bare names turned into relative ones and without references to source maps, which
are not shipped. To change a version, change it here, and in README.md beside the files.
"""

from __future__ import annotations

import re
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "daemon" / "studio" / "static" / "vendor"
BROWSER_TESTS = ROOT / "tests" / "browser" / "vendor"


@dataclass(frozen=True, slots=True)
class Package:
    """A package of npm, and which of its files go where."""

    name: str
    version: str
    folder: Path
    files: dict[str, str]  #: path in the package -> name in the folder


PACKAGES = (
    Package(
        "spessasynth_lib",
        "4.3.14",
        PAGE,
        {
            "dist/index.js": "spessasynth_lib.js",
            "dist/spessasynth_processor.min.js": "spessasynth_processor.min.js",
            "LICENSE": "LICENSE-Apache-2.0",
        },
    ),
    Package("spessasynth_core", "4.3.22", PAGE, {"dist/index.js": "spessasynth_core.js"}),
    Package("stb-vorbis", "0.0.6", PAGE, {"dist/index.js": "stb_vorbis.js"}),
    Package(
        "axe-core",
        "4.14.1",
        BROWSER_TESTS,
        {
            "axe.min.js": "axe.min.js",
            "LICENSE": "LICENSE-MPL-2.0",
            "LICENSE-3RD-PARTY.txt": "LICENSE-3RD-PARTY.txt",
        },
    ),
)
#: name by which a library is imported -> the file that it lies in
_MODULES = {"spessasynth_core": "./spessasynth_core.js", "stb-vorbis": "./stb_vorbis.js"}
_IMPORT = re.compile(r'(\bfrom\s*|\bimport\s*\(?\s*)"([^"./][^"]*)"')
_SOURCE_MAP = re.compile(r"^//# sourceMappingURL=.*\n?", re.MULTILINE)


def adapt(source: str) -> str:
    """Return a library's source with relative imports and without a reference to its source map.

    Raises KeyError for an import of something that is not vendored.
    """
    head, rest = source[:2000], source[2000:]  # imports stand first; further down the pattern may be in a string
    return _SOURCE_MAP.sub("", _IMPORT.sub(lambda found: f'{found[1]}"{_MODULES[found[2]]}"', head) + rest)


def fetch(package: Package, folder: Path) -> None:
    """Fetch a package with npm and write its files. Raises CalledProcessError, KeyError."""
    command = ["npm", "pack", "--silent", "--pack-destination", str(folder), f"{package.name}@{package.version}"]
    subprocess.run(command, check=True)
    package.folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / f"{package.name}-{package.version}.tgz") as archive:
        for inside, name in package.files.items():
            member = archive.extractfile(f"package/{inside}")
            if member is None:
                raise KeyError(f"{package.name} has no file {inside}")
            text = member.read().decode()
            (package.folder / name).write_text(adapt(text) if name.endswith(".js") else text, encoding="utf-8")


def main() -> None:
    """Renew all packages."""
    with tempfile.TemporaryDirectory() as folder:
        for package in PACKAGES:
            fetch(package, Path(folder))


if __name__ == "__main__":
    main()
