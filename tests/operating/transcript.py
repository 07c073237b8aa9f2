"""What a person types and what is printed, in the fenced blocks of pages: run anew, compared, or written into them.

    python -m tests.operating.transcript        runs all pages and writes what is printed now into them

A block is one that begins with `$ `. Its commands are typed into a shell, in the order of the page, at a real API
server with the operator's own process and pretend nodes. Long answers are cut as `SHORTENED` says; `...` marks where.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster import build, nodes, tools
from tests.cluster.control_plane import ControlPlane
from tests.cluster.definitions import define
from tests.operating.operator_process import OperatorProcess, Pools, until

REPOSITORY = Path(__file__).parents[2]
PAGES = tuple(REPOSITORY / "docs" / name for name in ("kubectl.md", "threads.md"))
NAMESPACE = "media"
AGENTS = "kube-system"
QUIET_SECONDS = 3.0
"""So long nothing must have changed before a command looks: else what is printed depends on the moment."""

_FENCED = re.compile(r"^```\n(\$ .*?)^```$", re.MULTILINE | re.DOTALL)
_CUT = "..."

_TYPE, _PRODUCT, _COUNT = "node.kubernetes.io/instance-type", "nvidia.com/gpu.product", "nvidia.com/gpu.count"
_ENCODERS = {"example.com/role": "encoders"}
_DEDICATED = [{"key": "example.com/dedicated", "value": "encoders", "effect": "NoSchedule"}]
_H100 = {_TYPE: "p5.4xlarge", _PRODUCT: "NVIDIA-H100-80GB-HBM3", _COUNT: "1", **_ENCODERS}
_L40S = {_TYPE: "g6e.12xlarge", _PRODUCT: "NVIDIA-L40S", _COUNT: "4", **_ENCODERS}
NODES = (
    nodes.node("cpu-0", cpus=16, memory="64Gi", labels={_TYPE: "m7i.4xlarge"}, allocatable={"cpu": "15890m"}),
    nodes.node("gpu-0", cpus=48, gpus=4, labels=_L40S, taints=_DEDICATED, allocatable={"cpu": "47810m"}),
    nodes.node("gpu-1", cpus=16, gpus=1, labels=_H100, taints=_DEDICATED, allocatable={"cpu": "15890m"}),
)
MODELS = """\
apiVersion: v1
kind: PersistentVolume
metadata: {name: models}
spec:
  capacity: {storage: 1Ti}
  accessModes: [ReadOnlyMany]
  storageClassName: ""
  nfs: {server: nfs.example.com, path: /models}
  claimRef: {namespace: media, name: models}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: models}
spec:
  accessModes: [ReadOnlyMany]
  storageClassName: ""
  volumeName: models
  resources: {requests: {storage: 1Ti}}
"""
AGENT = """\
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: node-agent}
spec:
  selector: {matchLabels: {app: node-agent}}
  template:
    metadata: {labels: {app: node-agent}}
    spec:
      tolerations: [{operator: Exists}]
      containers: [{name: agent, image: agent, resources: {requests: {cpu: 500m}}}]
"""


class Shell:
    """A person's shell: `kubectl` and `encoderfleet` on the path, a kubeconfig at its usual place.

    Args:
        cluster: At which it is pointed.
        home: The person's.
    """

    def __init__(self, cluster: ControlPlane, home: Path) -> None:
        self._pools = Pools(cluster, NAMESPACE)
        (home / ".kube").mkdir()
        config = home / ".kube" / "config"
        config.write_text(cluster.kubeconfig.read_text())
        programs = build.ensure()
        tools.run(
            programs.kubectl,
            "config",
            "set-context",
            "--current",
            "--namespace",
            NAMESPACE,
            kubeconfig=config,
            home=home,
        )
        path = [str(programs.kubectl.parent), str(Path(sys.executable).parent), "/usr/bin", "/bin"]
        self._environment = {"HOME": str(home), "PATH": ":".join(path), "LANG": "C.UTF-8", "COLUMNS": "120"}

    def run(self, command: str) -> str:
        """What a command prints, once all is quiet."""
        self._settle()
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=REPOSITORY,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        return done.stdout

    def _settle(self) -> None:
        versions, since = self._versions(), time.monotonic()
        while time.monotonic() - since < QUIET_SECONDS:
            time.sleep(0.3)
            if (now := self._versions()) != versions:
                versions, since = now, time.monotonic()

    def _versions(self) -> list[str]:
        found = [each for kind in ("encp", "deployments", "pods") for each in self._pools.all(kind)]
        return [each["metadata"]["resourceVersion"] for each in found]


@contextmanager
def shell(cluster: ControlPlane, folder: Path) -> Iterator[Shell]:
    """A shell at a cluster with some nodes, a volume with models, and an operator."""
    pools = Pools(cluster, NAMESPACE)
    cluster.kubectl("create", "namespace", NAMESPACE)
    cluster.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=120s", namespace=NAMESPACE)
    nodes.create(cluster.kubeconfig, NODES)
    cluster.kubectl("apply", "-f", "-", input=AGENT, namespace=AGENTS)
    log = folder / "operator.log"
    operator = OperatorProcess(cluster.kubeconfig, (NAMESPACE,), log, ENCODERFLEET_SCALING_INTERVAL="2")
    try:
        nodes.wait_until_ready(cluster.kubeconfig, "kubernetes.io/os=linux", len(NODES))
        pools.kubectl("apply", "-f", "-", input=MODELS)
        until(lambda: (pools.get("pvc", "models") or {})["status"].get("phase") == "Bound")
        operator.wait_until_ready()
        yield Shell(cluster, folder)
    finally:
        operator.kill()
        cluster.delete_namespace(NAMESPACE)
        cluster.kubectl("delete", "daemonset", "node-agent", namespace=AGENTS)
        cluster.kubectl("delete", "pv", "models", "--wait=false")
        for each in NODES:
            cluster.kubectl("delete", "node", each["metadata"]["name"], "--wait=false")


def run_page(text: str, typed: Callable[[str], str]) -> str:
    """A page with what its commands print now.

    Args:
        text: The page.
        typed: Runs a command.
    """

    def again(block: re.Match[str]) -> str:
        lines = []
        for command in _commands(block[1]):
            printed = shortened(command, typed(command.replace("\\\n", "")))
            lines.append("\n".join(line.rstrip() for line in (f"$ {command}\n{printed}".rstrip()).splitlines()) + "\n")
        return "```\n" + "".join(lines) + "```"

    return _FENCED.sub(again, text)


def _commands(block: str) -> list[str]:
    """Commands of a block, each with its further lines where `\\` ends one."""
    return [
        re.sub(r"(?<!\\)\n.*", "", each, flags=re.DOTALL) for each in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    ]


def shortened(command: str, printed: str) -> str:
    """What a page shows of an answer."""
    for beginning, cut in SHORTENED.items():
        if command.startswith(beginning):
            return cut(printed)
    return printed


def _described(printed: str) -> str:
    """Of `kubectl describe`: what the operator says; not the spec with its defaults, nor each thread variable."""
    head, found, rest = printed.partition("\nStatus:\n")
    if not found:
        return printed
    lines = [*head.splitlines()[:2], _CUT, "Status:"]
    in_env = False
    for line in rest.splitlines():
        if in_env and line.startswith("      "):
            continue
        in_env = line == "    Env:"
        lines += [line, f"      {_CUT}"] if in_env else [line]
    return "\n".join(lines)


SHORTENED: dict[str, Callable[[str], str]] = {"kubectl describe encp": _described}

_CHANGING = (
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "TIME"),
    (re.compile(r"\b(\d+d)?(\d+h)?(\d+m)?\d+s\b"), "AGE"),
    (re.compile(r"(vision-\S*?)-[a-z0-9]{6,10}-[a-z0-9]{5}\b"), r"\1-HASH-POD"),
    (re.compile(r"(?<=\S) {2,}"), "  "),
    (re.compile(r" +$", re.MULTILINE), ""),
)
_EVENTS = re.compile(r"(?:^  (?:Normal|Warning) .*\n?)+", re.MULTILINE)


def steady(text: str) -> str:
    """Without what differs from run to run: times, ages, random suffixes, widths of columns, order within a second."""
    for pattern, word in _CHANGING:
        text = pattern.sub(word, text)
    return _EVENTS.sub(lambda found: "".join(sorted(found[0].splitlines(keepends=True))), text)


def main() -> None:
    """Write all pages anew."""
    with tempfile.TemporaryDirectory() as folder, ControlPlane(build.ensure()) as cluster:
        define(cluster)
        with shell(cluster, Path(folder)) as typed:
            for page in PAGES:
                page.write_text(run_page(page.read_text(), typed.run))
                print(f"{page.relative_to(REPOSITORY)}: written", flush=True)


if __name__ == "__main__":
    os.chdir(REPOSITORY)
    main()
