"""The documents name files and targets that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "models/pretrained/README.md"])
#: documents that describe the code as it is, and not as it was
PRESENT = [page for page in PAGES if page.name not in ("CHANGELOG.md",)]


def name_page(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_page)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PRESENT, ids=name_page)
def test_named_files_exist(page: Path) -> None:
    names = re.findall(r"`([\w./-]+/[\w./-]*|[\w-]+\.py)`", page.read_text(encoding="utf-8"))
    rooms = (ROOT, ROOT / "daemon", page.parent)
    missing = [name for name in names if not any((room / name).exists() for room in rooms)]
    assert [name for name in missing if not re.match(r"runs/|\.\./shared|/|\d+/\d", name)] == []


@pytest.mark.parametrize("page", PRESENT, ids=name_page)
def test_named_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"`make ([a-z-]+)", text)) | set(re.findall(r"^make ([a-z-]+)", text, re.MULTILINE))
    assert named - targets == set()
