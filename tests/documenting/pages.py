"""Pages of `docs/`, and the parts of them that are made from the code."""

import os
import re
from pathlib import Path

REWRITE = "REWRITE_DOCS"
"""Variable of the environment: where it is set, parts are written instead of compared."""
REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"


def page(name: str) -> str:
    """Text of a page."""
    return (DOCS / name).read_text()


def check_part(name: str, part: str, made: str) -> None:
    """What stands between `<!-- made: part -->` and `<!-- end -->` is as made from the code now."""
    text = page(name)
    found = re.search(rf"(?<=<!-- made: {re.escape(part)} -->\n\n).*?(?=\n\n<!-- end -->)", text, re.DOTALL)
    assert found, f"docs/{name} has no part {part}"
    if os.environ.get(REWRITE):
        (DOCS / name).write_text(text[: found.start()] + made + text[found.end() :])
        return
    assert found[0] == made, f"{REWRITE}=1 pytest tests/documenting makes docs/{name} have:\n\n{made}\n"
