"""What the name of a model, or its path, tells of it; and what its `config.json` does.

Models of one architecture come in sizes. Embeddings of another size have another width, which ends a language server at
its first request, or the same one, and are noise.
"""

import re
from collections.abc import Mapping
from typing import Any

_HUB = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+", re.ASCII)
_SNAPSHOT = re.compile(r"/models--([\w.-]+?)--([\w.-]+)/snapshots/", re.ASCII)
"""Where the hub's cache has a model: it is called after the commit there."""

_SIZE = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)b(?:[-_]a(\d+(?:\.\d+)?)b)?(?![a-z0-9])", re.ASCII)
"""`7b`, `1.5b`, `30b-a3b`, as a word of its own: billions of weights, and those that are active for a token."""


def hub_name(model: str) -> str:
    """`ORGANISATION/MODEL` of a name on the hub, or of a path in its cache; empty of any other path."""
    if found := _SNAPSHOT.search(model):
        return "/".join(found.groups())
    return model if _HUB.fullmatch(model) else ""


def other_name(one: str, other: str) -> bool:
    """Whether both are on the hub, under different names. Quantised or tuned ones may yet have the same encoder."""
    names = [hub_name(each).casefold() for each in (one, other)]
    return all(names) and names[0] != names[1]


def other_size(one: str, other: str) -> bool:
    """Whether both names tell a size, and not the same one."""
    ours, theirs = _sizes(one), _sizes(other)
    return bool(ours and theirs) and not any(_same(each, its) for each in ours for its in theirs)


def text_width(config: Mapping[str, Any]) -> int:
    """Of the embeddings that a language model takes, by its `config.json`; 0 where that does not say."""
    text = config.get("text_config")
    for part in (text if isinstance(text, Mapping) else {}, config):
        width = part.get("hidden_size")
        if isinstance(width, int) and not isinstance(width, bool) and width > 0:
            return width
    return 0


def _sizes(model: str) -> list[tuple[str, str]]:
    last = (hub_name(model) or model).rstrip("/").rpartition("/")[2]
    return _SIZE.findall(last.casefold())


def _same(one: tuple[str, str], other: tuple[str, str]) -> bool:
    (total, active), (its_total, its_active) = one, other
    return total == its_total and (active == its_active or not (active and its_active))
