"""Pages lead to pages that there are, and to nothing of the machine that they were written on."""

import re
from pathlib import Path

import pytest

from documenting.pages import DOCS, REPOSITORY

PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
IDS = [page.name for page in PAGES]


def anchors(page: Path) -> set[str]:
    """Of a page's headings, as GitHub makes them."""
    made: dict[str, int] = {}
    found = set()
    for heading in re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE):
        name = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()).replace(" ", "-")
        found.add(f"{name}-{made[name]}" if name in made else name)
        made[name] = made.get(name, 0) + 1
    return found


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_nothing_is_of_this_machine(page: Path) -> None:
    assert re.findall(r"(?:/root|/work|/home/\w+)/\S+", page.read_text()) == []


def test_the_first_page_leads_to_all_others() -> None:
    readme = (REPOSITORY / "README.md").read_text()
    assert [page.name for page in PAGES[2:] if f"(docs/{page.name})" not in readme] == []
