"""A real Kubernetes control plane on this machine: etcd, API server, controllers and scheduler, KWOK for the nodes."""

import shutil
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.cluster import commands
from tests.cluster.cluster import Cluster
from tests.cluster.ports import HOST
from tests.cluster.processes import Process, answers
from tests.cluster.programs import Programs

ETCD, API_SERVER, CONTROLLERS, SCHEDULER, KWOK = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kwok",
)
ASKING = frozenset({CONTROLLERS, SCHEDULER, KWOK})
"""Those who work by asking the API server."""
COMMANDS: dict[str, Callable[[Programs, commands.Layout], list[str]]] = {
    ETCD: commands.etcd,
    API_SERVER: commands.api_server,
    CONTROLLERS: commands.controller_manager,
    SCHEDULER: commands.scheduler,
    KWOK: commands.kwok,
}


class ControlPlane(Cluster):
    """A control plane, started by `with` and ended after it, with all objects that it held.

    Args:
        programs: What `build.ensure` gives.
        folder: For keys, configuration and logs, which stay; None takes a temporary one.
        setting: As `Cluster` takes it, where its nodes are real: no KWOK then.

    Raises:
        MissingProgramError: There is no openssl.
    """

    def __init__(self, programs: Programs, folder: Path | None = None, **setting: Any) -> None:
        self._temporary = folder is None
        super().__init__(programs, folder or Path(tempfile.mkdtemp(prefix="control-plane-")), **setting)
        self._trusted = ssl.create_default_context(cafile=self.authority)
        self._processes: dict[str, Process] = {}

    def __enter__(self) -> Self:
        """Start everything.

        Raises:
            ControlPlaneError: Something does not come up.
        """
        (self.folder / "logs").mkdir()
        try:
            self._start(ETCD)
            self.start_api_server()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pids(self) -> dict[str, int]:
        """Of every running program."""
        return {name: process.pid for name, process in self._processes.items() if process.running}

    def start_api_server(self) -> None:
        """Start the API server, at the first time or after `stop_api_server`: same port, same objects.

        Controllers, scheduler and KWOK start with it, also anew: those that met a closed door wait longer each time
        before they knock again, up to a minute, which is their own business and would be in each test's way.

        Raises:
            ControlPlaneError: Something does not come up.
        """
        for name in ASKING & self._processes.keys():
            self._processes.pop(name).end(kill=True)
        self._start(API_SERVER)
        self._wait(API_SERVER, f"{self.server}/readyz")
        for name in ASKING - ({KWOK} if self._layout.kubelets else set()):
            self._start(name)
        self._wait(CONTROLLERS, f"https://{HOST}:{self._layout.controllers}/healthz")
        self._wait(SCHEDULER, f"https://{HOST}:{self._layout.scheduler}/readyz")
        if not self._layout.kubelets:
            self._wait(KWOK, f"http://{HOST}:{self._layout.kwok}/healthz")

    def stop_api_server(self, *, kill: bool = False) -> None:
        """End the API server in order or, with `kill`, as a crash does."""
        self._processes[API_SERVER].end(kill=kill)

    def check(self) -> None:
        """See whether everything still runs.

        Raises:
            ControlPlaneError: Something has ended; with the end of its log.
        """
        for process in self._processes.values():
            process.check()

    def close(self) -> None:
        """End everything; objects and temporary files are gone then."""
        # First those who ask the API server, all at once; it waits for nobody then.
        for name in ASKING & self._processes.keys():
            self._processes[name].ask_to_end()
        for process in reversed(self._processes.values()):
            process.end()
        shutil.rmtree(self.folder if self._temporary else self._layout.etcd_data, ignore_errors=True)

    def _start(self, name: str) -> None:
        command = COMMANDS[name](self._programs, self._layout)
        self._processes[name] = Process(name, command, self.folder / "logs" / f"{name}.log")

    def _wait(self, name: str, url: str) -> None:
        def reached() -> bool:
            self.check()
            return answers(url, self._trusted)

        self._processes[name].wait_until(reached)
