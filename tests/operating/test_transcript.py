"""What the pages say that kubectl prints is what it prints."""

from pathlib import Path

import pytest
from tests.cluster.control_plane import ControlPlane
from tests.operating import transcript


@pytest.mark.timeout(600)
def test_the_pages_show_what_is_printed(control_plane: ControlPlane, definition: None, tmp_path: Path) -> None:
    with transcript.shell(control_plane, tmp_path) as typed:
        for page in transcript.PAGES:
            there = page.read_text()
            now = transcript.run_page(there, typed.run)
            again = f"docs/{page.name} shows something else: python -m tests.operating.transcript"
            assert transcript.steady(there).splitlines() == transcript.steady(now).splitlines(), again


def test_what_differs_from_run_to_run_is_left_out() -> None:
    before = "vision-a-00877-f8df879cd-6bkgk   1/1   2m3s\n  Normal  B  4s\n  Normal  A  4s\nat 2026-01-01T00:00:00Z\n"
    after = "vision-a-00877-f8df879cd-qjmvt  1/1  42s\n  Normal  A  13s\n  Normal  B  14s\nat 2026-01-02T00:00:00Z\n"
    assert transcript.steady(before) == transcript.steady(after)
    assert transcript.steady("47810m allocatable") == "47810m allocatable"
    assert transcript.steady("10 of 12") != transcript.steady("11 of 12")


def test_a_page_is_run_command_by_command() -> None:
    page = "text\n\n```\n$ one \\\n  more\nold\n$ two\n```\n\n```yaml\n$ three\n```\n"
    typed: list[str] = []

    def run(command: str) -> str:
        typed.append(command)
        return f"new {len(typed)}\n"

    made = transcript.run_page(page, run)
    assert typed == ["one   more", "two"]
    assert made == page.replace("old\n", "new 1\n").replace("$ two\n", "$ two\nnew 2\n")
