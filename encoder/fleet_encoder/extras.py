"""What is missing where the package was installed without its extra."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def encoder_extra() -> Iterator[None]:
    """Around imports: a missing package of others ends the program in one line.

    Raises:
        SystemExit: Names the package and how to install it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("fleet_"):  # a defect
            raise
        raise SystemExit(f"Error: the encoder needs {error.name}: pip install '.[encoder]' in its repository") from None
