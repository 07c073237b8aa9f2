"""How numbers are told. Pure."""


def counted(number: int, unit: str) -> str:
    """`1 GPU`, `2 GPUs`."""
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
