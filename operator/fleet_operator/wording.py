"""How numbers and names are told. Pure."""

from collections.abc import Sequence


def counted(number: int, unit: str) -> str:
    """`1 GPU`, `2 GPUs`."""
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def named(names: Sequence[str], most: int = 3) -> str:
    """The first few, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
