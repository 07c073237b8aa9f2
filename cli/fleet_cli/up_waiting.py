"""What replicas are waited for until they are ready, in words. Pure."""

from collections.abc import Sequence

from fleet_operator.local.supervise import State, Supervisor
from fleet_operator.wording import named

LOADING = "loads PyTorch, then the model's settings"
"""All that a replica does before it answers for the first time."""
FIRST = "A replica loads PyTorch first, about a minute where it is the first time on this machine, then the model"


def says(state: State, progress: str) -> str:
    """Why a replica is not ready yet.

    Args:
        state: Of the replica.
        progress: What its `/readyz` has answered last; empty where nothing has.
    """
    if state is State.STARTING:
        return progress or LOADING
    return state.value


def still(seconds: float, supervisors: Sequence[Supervisor]) -> str:
    """One line about all that are not ready after so many seconds; empty where all are."""
    reasons: dict[str, list[str]] = {}
    for each in supervisors:
        if not each.ready.is_set():
            reasons.setdefault(says(each.state, each.progress), []).append(each.name)
    parts = [f"{named(names)} ({reason})" for reason, names in reasons.items()]
    return f"After {seconds:.0f} s still waiting for {'; '.join(parts)}" if parts else ""
