"""The operator as a process, and pools as `kubectl` sees them."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.cluster import ports
from tests.cluster.control_plane import ControlPlane

PATIENCE = 120.0
Object = dict[str, Any]


def until(what: Callable[[], Any], *, why: Callable[[], str] = lambda: "", patience: float = PATIENCE) -> Any:
    """Ask `what` until it says something true, for `patience` seconds at most, and return that."""
    deadline = time.monotonic() + patience
    while not (answer := what()):
        assert time.monotonic() < deadline, why() or f"waited {patience:.0f} s in vain"
        time.sleep(0.1)
    return answer


class OperatorProcess:
    """`python -m fleet_operator` for some namespaces.

    Args:
        kubeconfig: Whom it acts as.
        namespaces: Which it serves; none for all.
        log: Where its log goes; appended to.
        environment: Over this process's own.
    """

    def __init__(self, kubeconfig: Path, namespaces: tuple[str, ...], log: Path, **environment: str) -> None:
        self.log_file = log
        (port,) = ports.free(1)
        self.address = f"127.0.0.1:{port}"
        flags = [flag for each in namespaces for flag in ("--namespace", each)]
        with log.open("a") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fleet_operator", "--http", self.address, *flags],
                env={**os.environ, "KUBECONFIG": str(kubeconfig), **environment},
                stdout=output,
                stderr=output,
            )

    @property
    def log(self) -> str:
        """All that it has written."""
        return self.log_file.read_text()

    def get(self, path: str) -> tuple[int, str]:
        """Status and body; status 0 where nothing answers."""
        try:
            with urllib.request.urlopen(f"http://{self.address}{path}", timeout=30) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def wait_until_ready(self) -> "OperatorProcess":
        """Until it watches."""
        until(lambda: self.process.poll() is not None or self.get("/readyz")[0] == 200, why=lambda: self.log)
        assert self.process.poll() is None, self.log
        return self

    def metric(self, name: str, **labels: str) -> float:
        """Sum of a series over those with these labels."""
        total = 0.0
        for line in self.get("/metrics")[1].splitlines():
            head, _, value = line.rpartition(" ")
            series, _, rest = head.partition("{")
            if series == name and all(f'{key}="{each}"' in rest for key, each in labels.items()):
                total += float(value)
        return total

    def writes(self) -> float:
        """Requests so far that change something."""
        return sum(
            self.metric("encoderfleet_api_requests_total", verb=verb) for verb in ("apply", "patch", "delete", "create")
        ) - self.metric("encoderfleet_api_requests_total", kind="SelfSubjectAccessReview")

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        self.process.terminate()
        return self.process.wait(60)


class Pools:
    """Pools of one namespace.

    Args:
        control_plane: The cluster.
        namespace: Where.
    """

    def __init__(self, control_plane: ControlPlane, namespace: str) -> None:
        self.control_plane = control_plane
        self.namespace = namespace

    def kubectl(self, *arguments: str, **options: Any) -> str:
        """kubectl in the namespace."""
        return self.control_plane.kubectl(*arguments, namespace=self.namespace, **options)

    def apply(self, name: str, **spec: Any) -> None:
        """`kubectl apply` of a pool; a model path is there where none is given."""
        pool = {
            "apiVersion": "encoderfleet.io/v1alpha1",
            "kind": "EncoderPool",
            "metadata": {"name": name},
            "spec": {"model": {"path": "/models/vl"}, **spec},
        }
        self.kubectl("apply", "-f", "-", input=json.dumps(pool))

    def patch(self, name: str, **spec: Any) -> None:
        """A merge patch of a pool's spec."""
        self.kubectl("patch", "encp", name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def get(self, kind: str, name: str) -> Object | None:
        """An object; None where there is none."""
        text = self.kubectl("get", kind, name, "-o", "json", "--ignore-not-found")
        return json.loads(text) if text else None

    def all(self, kind: str, selector: str = "") -> list[Object]:
        """Objects, of one pool where the selector says so."""
        flags = ["-l", selector] if selector else []
        return json.loads(self.kubectl("get", kind, "-o", "json", *flags))["items"]

    def deployments(self, name: str) -> list[Object]:
        """Of a pool, by name."""
        found = self.all("deployments", f"encoderfleet.io/pool={name}")
        return sorted(found, key=lambda each: each["metadata"]["name"])

    def status(self, name: str) -> Object:
        """Of a pool; empty until it has one."""
        pool = self.get("encp", name)
        return (pool or {}).get("status") or {}

    def condition(self, name: str, kind: str) -> Object:
        """Of a pool; empty until it has it."""
        return next((each for each in self.status(name).get("conditions", ()) if each["type"] == kind), {})

    def wait(self, name: str, kind: str, status: str, reason: str | None = None) -> Object:
        """Until a condition is so; the condition."""

        def so() -> Object | None:
            found = self.condition(name, kind)
            right = found.get("status") == status and reason in (None, found.get("reason"))
            return found if right else None

        return until(so, why=lambda: f"{kind} is {self.condition(name, kind)}, not {status} {reason}")

    def events(self, name: str) -> list[Object]:
        """Of a pool, first come first."""
        found = [each for each in self.all("events") if each["involvedObject"]["name"] == name]
        return sorted(found, key=lambda each: each["metadata"]["creationTimestamp"])
