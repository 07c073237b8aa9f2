"""What is told to the caller when an item has no embedding. Pure."""

from collections.abc import Iterable

from fleet_client import errors
from fleet_client.endpoint import Endpoint, Phase
from fleet_client.protocol import Modality, Result, Status

DRAINING = "it is going away (draining)"
SILENT = "it is connected, but stopped answering"
DEFAULT_RETRY_SECONDS = 0.5

_BY_STATUS: dict[Status, type[errors.EncodeError]] = {
    each.status: each
    for each in (
        errors.Busy,
        errors.Draining,
        errors.Invalid,
        errors.MediaUnreachable,
        errors.TooLarge,
        errors.Incompatible,
        errors.Expired,
        errors.Cancelled,
        errors.Internal,
    )
    if each.status is not None
}


def error_of(result: Result, address: str) -> errors.EncodeError:
    """The exception that says what `result`, which is not OK, says."""
    error = _BY_STATUS[result.status](result.message or f"{address} answered {result.status}", endpoint=address)
    if isinstance(error, errors.Busy):
        hint = result.retry_after_ms
        error.retry_after = DEFAULT_RETRY_SECONDS if hint is None else max(0.0, hint / 1000)
    return error


def lost(times: int, address: str, problem: str) -> errors.Lost:
    """An item's encoder died or hung, for the `times`-th time."""
    if times == 1:
        return errors.Lost(f"the encoder at {address} was lost with the item: {problem}", endpoint=address)
    return errors.Lost(
        f"{times} times the encoder that had the item was lost, last {address}: {problem}; "
        "see the encoders' logs: the item may be what kills them",
        endpoint=address,
    )


def unread() -> errors.Expired:
    """The deadline passed before the file was looked at, or read."""
    return errors.Expired("the file was not read before the deadline: allow more time; does its disk answer?")


def out_of_time(
    endpoint: str | None, setback: errors.EncodeError | None, endpoints: list[Endpoint]
) -> errors.EncodeError:
    """The deadline passed.

    Args:
        endpoint: Which encoder has the item; None where it waits for one.
        setback: Why it waits.
        endpoints: All that may get something new.
    """
    if endpoint is not None:
        return errors.Expired(f"{endpoint} has the item, but did not answer in time: allow more", endpoint=endpoint)
    serving = [each for each in endpoints if each.phase is Phase.SERVING]
    if not serving:
        if isinstance(setback, errors.Draining) and all(each.problem == DRAINING for each in endpoints):
            return setback
        return unreachable(endpoints)
    if isinstance(setback, errors.Busy):
        error = errors.Busy(f"every encoder was full until the deadline; the last one said: {setback}")
        error.endpoint, error.retry_after = setback.endpoint, setback.retry_after
        return error
    if isinstance(setback, errors.Lost | errors.Internal):
        return setback
    return errors.Busy("the deadline passed before an encoder had room: ask for less at once, allow more time")


def unreachable(endpoints: Iterable[Endpoint]) -> errors.Unreachable | errors.Incompatible:
    """No encoder serves: what is wrong with each."""
    every = [*endpoints]
    if every and all(each.phase is Phase.MISMATCHED for each in every):
        return errors.Incompatible("; ".join(each.problem for each in every))
    if len(every) == 1:
        return errors.Unreachable(f"no encoder answers at {every[0].address}: {every[0].problem}")
    return errors.Unreachable(
        "no encoder answers: "
        + ("; ".join(f"{each.address}: {each.problem or 'serving'}" for each in every) or "there is none")
    )


def objection_of_all(endpoints: Iterable[Endpoint], modality: Modality, size: int) -> errors.Refused | None:
    """Why no encoder will ever take such an item; None where one might.

    The nearest miss is told: a limit rather than a modality, a modality rather than a version.
    """
    objections: list[errors.Refused] = []
    for endpoint in endpoints:
        objection = endpoint.objection(modality, size)
        if objection is None:
            return None
        if endpoint.phase is Phase.MISMATCHED:
            objections.append(objection)
        else:
            objections.insert(0, objection)
    too_large = [each for each in objections if isinstance(each, errors.TooLarge)]
    return max(too_large or objections[:1], key=str, default=None)
