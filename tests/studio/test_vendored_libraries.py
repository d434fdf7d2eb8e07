"""The libraries of other people on the page: complete, adapted, told of."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from daemon.studio.server import STATIC
from tests.programs.vendor import PACKAGES, PAGE, adapt

SCRIPTS = sorted(PAGE.glob("*.js"))


def test_the_page_finds_them_where_they_are_put() -> None:
    assert STATIC / "vendor" == PAGE


def test_imports_by_bare_names_become_relative() -> None:
    source = 'import { A } from "spessasynth_core";\nlet text = "from";\n//# sourceMappingURL=index.js.map\n'
    assert adapt(source) == 'import { A } from "./spessasynth_core.js";\nlet text = "from";\n'


def test_an_import_of_what_is_not_there_is_refused() -> None:
    with pytest.raises(KeyError):
        adapt('import { A } from "left-pad";')


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.name))
def test_a_script_imports_only_its_neighbours_and_names_no_source_map(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    imported = re.findall(r'^import .* from "([^"]+)";', text, re.MULTILINE)
    assert all((PAGE / name).is_file() for name in imported)
    assert "sourceMappingURL" not in text


def test_each_folder_tells_file_package_and_version() -> None:
    assert SCRIPTS
    for package in PACKAGES:
        told = (package.folder / "README.md").read_text(encoding="utf-8")
        for name in package.files.values():
            assert (package.folder / name).is_file()
            assert name in told
        assert package.name in told
        assert package.version in told
    listed = {name for package in PACKAGES if package.folder == PAGE for name in package.files.values()}
    assert {path.name for path in PAGE.iterdir()} == listed | {"README.md"}
