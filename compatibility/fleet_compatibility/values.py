"""Values that both sides name: whether they are the same."""

from typing import Any

SHORTEST_COMMIT = 7
_DTYPES = {"half": "float16", "float": "float32"}
"""Other words for the same, as SGLang has them."""


def differ(one: Any, other: Any) -> bool:
    """Whether both are named, and not the same. Whatever is no text names nothing."""
    return isinstance(one, str) and isinstance(other, str) and bool(one and other) and one != other


def other_revision(one: Any, other: Any) -> bool:
    """As `differ`; a commit is often shortened, and the beginning of one is the same one."""
    if not differ(one, other):
        return False
    short, long = sorted((one, other), key=len)
    return len(short) < SHORTEST_COMMIT or not long.startswith(short)


def printable(text: str) -> str:
    """What of a stranger's words may go into a condition or a line of a log: no end of a line, no colours."""
    return "".join(filter(str.isprintable, text))


def dtype(value: Any) -> str:
    """A number format in PyTorch's words; empty for `auto`, that of the checkpoint, which may be any."""
    text = value.removeprefix("torch.") if isinstance(value, str) else ""
    return "" if text == "auto" else _DTYPES.get(text, text)
