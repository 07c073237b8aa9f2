"""The condition ConsumersRegistered: whether the language servers know all encoders of the pool. Pure.

Only pools with consumers have it. While something is about to change it stays as it was: else each pod that comes or
goes would be two writes more.
"""

from collections.abc import Iterable, Sequence

from fleet_operator.consumers.report import Report, ServerState
from fleet_operator.reconcile.finding import Finding
from fleet_operator.reconcile.observation import Observation
from fleet_operator.wording import counted, named

TYPE = "ConsumersRegistered"

_NO_SERVERS = (
    "no pod of spec.consumers is ready: start the language servers, or correct the service or the labels there"
)
_DEAF = (
    "does not listen on its port sglang (30000), and is told to no language server: take an image of this version, "
    "and ENCODERFLEET_SGLANG_HTTP out of spec.podTemplate.env"
)


def consumers_registered(seen: Observation) -> tuple[Finding, ...]:
    """The condition; none of a pool without consumers."""
    if not seen.pool.spec.consumers:
        return ()
    report = seen.consumers
    if report is None or not report.settled:
        return (_before(seen),)
    status, reason, message = _judged(report)
    return (Finding(TYPE, status, reason, message),)


def _before(seen: Observation) -> Finding:
    for each in seen.status.get("conditions") or ():
        if each["type"] == TYPE and each["reason"] != "InvalidSpec":
            return Finding(TYPE, each["status"], each["reason"], each["message"])
    return Finding(TYPE, "Unknown", "Registering", "the language servers of spec.consumers are being looked for")


def _judged(report: Report) -> tuple[str, str, str]:
    if report.problems:
        return "False", "ConsumersUnreadable", "; ".join(report.problems)
    if report.refusals:
        return "False", "NotAllowed", "; ".join(report.refusals)
    unfit = [each for each in report.servers if each.mismatch]
    if unfit:
        return (
            "False",
            "Incompatible",
            f"not told of the encoders: {_told((each.name, each.mismatch) for each in unfit)}",
        )
    lost = [each for each in report.servers if each.unreachable and each.ready]
    if lost:
        return "False", "Unreachable", _told((each.name, each.unreachable) for each in lost)
    ready = [each for each in report.servers if each.ready]
    if not ready:
        return "False", "NoLanguageServers", _NO_SERVERS
    if report.deaf:
        return "False", "NotListening", f"{named(report.deaf)} {_DEAF}"
    if not report.encoders:
        return "False", "NoEncoders", "no encoder is ready: the condition Ready says why"
    return "True", "Registered", _registered(report, ready)


def _registered(report: Report, ready: Sequence[ServerState]) -> str:
    text = f"{counted(report.encoders, 'encoder')} registered with {counted(len(ready), 'language server')}"
    doubts = [(each.name, each.doubt) for each in ready if each.doubt]
    return f"{text}; {_told(doubts)}" if doubts else text


def _told(found: Iterable[tuple[str, str]]) -> str:
    """Whom it is about, by what is said of them: replicas are alike."""
    about: dict[str, list[str]] = {}
    for name, said in found:
        about.setdefault(said, []).append(name)
    return "; ".join(f"{named(names)}: {said}" for said, names in about.items())
