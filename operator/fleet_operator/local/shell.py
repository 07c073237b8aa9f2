"""What a replica takes over from the shell that `up` was started in. Pure."""

from collections.abc import Iterable, Mapping

_SHARED_OUT = ("CUDA_VISIBLE_DEVICES",)
"""The plan reads these of the shell, and gives each replica its part: that is no other value."""


def environment(inherited: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """What a replica sees: the shell's variables, and over them the plan's."""
    return {**inherited, "PYTHONUNBUFFERED": "1", **own}


def overridden(inherited: Mapping[str, str], replicas: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    """Names of the shell's variables that some replica gets with another value; an empty one means unset.

    Args:
        inherited: The shell's variables.
        replicas: What is set for each replica.
    """
    names = {
        name
        for own in replicas
        for name, value in own.items()
        if inherited.get(name) and inherited[name] != value and name not in _SHARED_OUT
    }
    return tuple(sorted(names))


def warnings(inherited: Mapping[str, str], replicas: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    """One line where some of the shell's variables have no effect; else none."""
    names = overridden(inherited, replicas)
    if not names:
        return ()
    return (
        f"set in this shell, and without effect, as the plan sets them otherwise: {', '.join(names)}; change the pool "
        "file (`encoderfleet plan` shows which field sets what) or the options of `up`",
    )
