"""A Pod object -> what is told of it. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fleet_operator.specs.names import DELETION_COST, SGLANG_PORT, SHAPE_LABEL
from fleet_operator.timestamps import read_time

IMAGE_REASONS = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
CONFIG_REASONS = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
_AS_ROOT = ("runAsNonRoot", "non-root")
"""In what a kubelet says of a container that it does not start because it would run as root, or may."""
_LAST_LINE = 300


@dataclass(frozen=True, slots=True)
class PodState:
    """One pod of a pool.

    Attributes:
        shape: Which Deployment's it is, by its label.
        waiting: Since when it finds no node; None where it has one.
        trouble: Why it cannot run (`ImagePull`, `Crashing`, `Config`, `RunsAsRoot`, `Unschedulable`, `Gated`), else
            empty.
        message: The same in words.
        ip: Its address, empty where it has none.
        cost: `pod-deletion-cost`, as it is set.
        over: It has ended for good. It stays in the list for long, and its address may be another pod's by now.
        starting: Since when it has a node and none of its containers has started; None where one has.
        holding: What its containers wait for then, as far as its status says.
        speaks_sglang: It has the port where language servers of SGLang find an encoder. One of an operator before this
            one, or of somebody's image that has none, has not.
    """

    name: str
    shape: str
    ready: bool
    leaving: bool
    waiting: datetime | None
    trouble: str
    message: str
    ip: str
    node: str
    cost: int
    over: bool
    starting: datetime | None = None
    holding: str = ""
    speaks_sglang: bool = False


def read_pod(body: Mapping[str, Any]) -> PodState:
    """The pod of an API object."""
    meta, status = body["metadata"], body.get("status") or {}
    conditions = {each["type"]: each for each in status.get("conditions") or ()}
    scheduled = conditions.get("PodScheduled") or {}
    waiting = None
    # One that is over stays in the list for long, and another has come for it.
    over = status.get("phase") in ("Failed", "Succeeded")
    inits, containers = status.get("initContainerStatuses") or (), status.get("containerStatuses") or ()
    trouble, message = ("", "") if over else _trouble(inits, containers)
    starting = None
    if scheduled.get("status") == "True" and not over and not any(map(_has_started, containers)):
        starting = read_time(scheduled.get("lastTransitionTime") or meta["creationTimestamp"])
    if scheduled.get("status") == "False" and not over and not (body.get("spec") or {}).get("nodeName"):
        reason, said = scheduled.get("reason"), scheduled.get("message") or ""
        if reason == "SchedulingGated":
            trouble, message = "Gated", said
        else:
            waiting = read_time(scheduled.get("lastTransitionTime") or meta["creationTimestamp"])
        if reason == "Unschedulable":
            trouble, message = "Unschedulable", said
    return PodState(
        name=meta["name"],
        shape=(meta.get("labels") or {}).get(SHAPE_LABEL, ""),
        ready=(conditions.get("Ready") or {}).get("status") == "True",
        leaving="deletionTimestamp" in meta,
        waiting=waiting,
        trouble=trouble,
        message=message,
        ip=status.get("podIP") or "",
        node=(body.get("spec") or {}).get("nodeName") or "",
        cost=_whole((meta.get("annotations") or {}).get(DELETION_COST)),
        over=over,
        starting=starting,
        holding=_holding(body.get("spec") or {}, inits, containers) if starting else "",
        speaks_sglang=_has_port(body.get("spec") or {}, SGLANG_PORT),
    )


def _has_port(spec: Mapping[str, Any], number: int) -> bool:
    ports = (port for container in spec.get("containers") or () for port in container.get("ports") or ())
    return any(port.get("containerPort") == number for port in ports)


def _trouble(inits: Iterable[Mapping[str, Any]], containers: Iterable[Mapping[str, Any]]) -> tuple[str, str]:
    """Of what runs before the encoder too: nearly always somebody has added it."""
    for each in inits:
        trouble, message = _container_trouble([each])
        if trouble:
            return trouble, f"init container {each.get('name')}: {message}"
    return _container_trouble(containers)


def _has_started(container: Mapping[str, Any]) -> bool:
    state, last = container.get("state") or {}, container.get("lastState") or {}
    return bool("running" in state or "terminated" in state or "terminated" in last)


def _holding(
    spec: Mapping[str, Any], inits: Iterable[Mapping[str, Any]], containers: Iterable[Mapping[str, Any]]
) -> str:
    sidecars = {each["name"] for each in spec.get("initContainers") or () if each.get("restartPolicy") == "Always"}
    for each in inits:
        runs_on = each.get("name") in sidecars and each.get("started")
        if "running" in (each.get("state") or {}) and not runs_on:
            return f"init container {each.get('name')} has not ended"
    waiting = [((each.get("state") or {}).get("waiting") or {}).get("reason") for each in (*inits, *containers)]
    return next((reason for reason in waiting if reason), "")


def _container_trouble(statuses: Iterable[Mapping[str, Any]]) -> tuple[str, str]:
    for each in statuses:
        waiting = (each.get("state") or {}).get("waiting") or {}
        ended = (each.get("state") or {}).get("terminated") or (each.get("lastState") or {}).get("terminated") or {}
        reason = waiting.get("reason") or ""
        if reason in IMAGE_REASONS:
            return "ImagePull", f"{each.get('image')}: {waiting.get('message') or reason}"
        if reason in CONFIG_REASONS:
            said = waiting.get("message") or reason
            return "RunsAsRoot" if any(words in said for words in _AS_ROOT) else "Config", said
        if reason == "CrashLoopBackOff" or (ended.get("exitCode") and not each.get("ready")):
            return "Crashing", _why(ended)
    return "", ""


def _why(ended: Mapping[str, Any]) -> str:
    """How a container ended: its last line where it left one."""
    lines = [line for line in (ended.get("message") or "").splitlines() if line.strip()]
    last = lines[-1].strip()[:_LAST_LINE] if lines else ""
    exited = f"exit code {ended.get('exitCode', 'unknown')}"
    if ended.get("reason") == "OOMKilled":
        return "OOMKilled: it needed more memory than it may have: raise spec.resources.memory"
    return f"{exited}: {last}" if last else exited


def _whole(text: Any) -> int:
    try:
        return int(text or 0)
    except ValueError:
        return 0
