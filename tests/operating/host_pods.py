"""Pods whose container really runs: what a kubelet does, with a process of this machine in place of a container.

KWOK leaves pods with its annotation alone. Each gets an address of loopback, so that all of them listen on the ports
that the pod's own environment says.
"""

import json
import os
import random
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

from operating.operator_process import Pools


class HostPod:
    """A pod's process. `told`: whether its status says ready; None until it says anything."""

    def __init__(self, address: str, process: subprocess.Popen[bytes]) -> None:
        self.address = address
        self.process = process
        self.told: bool | None = None
        self.ending = False


class HostPods:
    """Runs the pods of one pool. A context manager.

    Args:
        pools: Of the pool's namespace.
        pool: Its name.
        folder: For logs.
    """

    def __init__(self, pools: Pools, pool: str, folder: Path) -> None:
        self._pools = pools
        self._selector = f"encoderfleet.io/pool={pool}"
        self._folder = folder
        self.pods: dict[str, HostPod] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def endpoints(self) -> list[str]:
        """Of the pods that are ready, as a Service would have them."""
        return [f"tcp://{pod.address}:5570" for pod in self.pods.values() if pod.told and not pod.ending]

    def __enter__(self) -> "HostPods":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)
        for pod in self.pods.values():
            pod.process.kill()
            pod.process.wait()

    def _run(self) -> None:
        while not self._stop.wait(0.3):
            there = {each["metadata"]["name"]: each for each in self._pools.all("pods", self._selector)}
            for name, body in there.items():
                if name not in self.pods and body["spec"].get("nodeName"):
                    self._start(name, body)
            for name, pod in self.pods.items():
                if name not in there or "deletionTimestamp" in there[name]["metadata"]:
                    self._end(pod)
                else:
                    self._tell(name, pod)

    def _start(self, name: str, pod: dict[str, Any]) -> None:
        # Other runs of tests on this machine have pods too.
        address = f"127.{random.randint(100, 250)}.{random.randint(0, 255)}.{random.randint(1, 254)}"
        (container,) = pod["spec"]["containers"]
        env = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "TOKENIZERS_PARALLELISM": "false"}
        for each in container["env"]:
            env[each["name"]] = each.get("value", name if "valueFrom" in each else "")
        for variable in ("ENCODERFLEET_BIND", "ENCODERFLEET_HTTP", "ENCODERFLEET_SGLANG_HTTP"):
            if variable in env:
                env[variable] = env[variable].replace("*", address)  # each pod has an address of its own
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen([sys.executable, "-m", "fleet_encoder"], env=env, stdout=log, stderr=log)
        self.pods[name] = HostPod(address, process)

    def _end(self, pod: HostPod) -> None:
        """Out of the Service first, then SIGTERM, as a kubelet does; once."""
        if not pod.ending:
            pod.ending = True
            pod.process.terminate()

    def _is_ready(self, address: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://{address}:8080/readyz", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def _tell(self, name: str, pod: HostPod) -> None:
        """Write the pod's status, as its kubelet would."""
        ready = self._is_ready(pod.address)
        if pod.told == ready:
            return
        state = "True" if ready else "False"
        conditions = [{"type": kind, "status": state} for kind in ("Ready", "ContainersReady")]
        conditions += [{"type": kind, "status": "True"} for kind in ("Initialized", "PodScheduled")]
        status = {
            "phase": "Running",
            "podIP": pod.address,
            "podIPs": [{"ip": pod.address}],
            "conditions": conditions,
            "containerStatuses": [
                {
                    "name": "main",
                    "ready": ready,
                    "restartCount": 0,
                    "image": "i",
                    "imageID": "i",
                    "started": True,
                    "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
                }
            ],
        }
        patch = json.dumps({"status": status})
        self._pools.kubectl("patch", "pod", name, "--subresource=status", "--type=merge", "-p", patch, check=False)
        pod.told = ready
