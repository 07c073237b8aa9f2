"""Pages of `docs/`, and the parts of them that are made from the code."""

import os
import re
from collections.abc import Callable
from pathlib import Path

REWRITE = "REWRITE_DOCS"
"""Variable of the environment: where it is set, parts are written instead of compared."""
REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"


def page(name: str) -> str:
    """Text of a page."""
    return (DOCS / name).read_text()


def check_part(name: str, part: str, made: str, look: Callable[[str], str] = str) -> None:
    """What stands between `<!-- made: part -->` and `<!-- end -->` is as made from the code now.

    Args:
        name: Of the page.
        part: Of the page.
        made: What is to stand there.
        look: What of both is compared.
    """
    text = page(name)
    found = re.search(rf"(?<=<!-- made: {re.escape(part)} -->\n\n).*?(?=\n\n<!-- end -->)", text, re.DOTALL)
    assert found, f"docs/{name} has no part {part}"
    check(name, text[: found.start()] + made + text[found.end() :], look)


def check(name: str, made: str, look: Callable[[str], str] = str) -> None:
    """The page is as made now; arguments as of `check_part`."""
    if os.environ.get(REWRITE):
        (DOCS / name).write_text(made)
        return
    assert look(page(name)) == look(made), f"the same test with {REWRITE}=1 makes docs/{name} have:\n\n{made}\n"
