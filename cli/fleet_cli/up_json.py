"""`encoderfleet up -o json`: one JSON object a line on stdout, the replicas' own lines on stderr."""

import json
from collections.abc import Sequence
from typing import Any

from rich.text import Text

from fleet_cli.up_report import Report
from fleet_operator.local.supervise import Change, State


class JsonReport(Report):
    """Every line is an object with the field `event`.

    `ready` comes once, with all replicas: name, endpoint, http, sglang, pid, cpus, env. `crashed`, `restarted`,
    `draining`, `killing`, `stopped`, `drained` and `failed` come as they happen. Where `up` itself ended a replica that
    hung, or was not ready in time, the message of `crashed` says so.
    """

    _all_ready = False

    def starting(self) -> None:
        """The plan's size, and what may be wrong with it."""
        self._event("starting", pool=self.plan.pool, replicas=len(self.replicas), warnings=list(self.plan.warnings))

    def change(self, change: Change) -> None:
        """Crashes, restarts and ends; starts and first readiness are told by `starting` and `ready`."""
        about: dict[str, Any] = {"replica": change.replica, "pid": change.pid}
        if change.state is State.CRASHED:
            self._event(
                "crashed", **about, code=change.code, message=change.message, restart_in_seconds=change.restart_in
            )
        elif change.state is State.READY and self._all_ready:
            self._event("restarted", **about)
        elif change.state is State.STOPPED:
            self._event("stopped", **about, code=change.code)

    def line(self, replica: str, line: str) -> None:
        """On stderr, as stdout is for objects."""
        if not self.quiet:
            self._err.log(Text(f"{replica} | {line}"))

    def ready(self, pids: Sequence[int]) -> None:
        """All that a program needs in order to use and watch the replicas."""
        self._all_ready = True
        described = [
            {
                "name": replica.name,
                "endpoint": replica.ports.endpoint,
                "http": f"http://{replica.ports.http_address}",
                "sglang": replica.ports.sglang_url or None,
                "pid": pid,
                "cpus": None if replica.cpus is None else sorted(replica.cpus),
                "env": replica.env,
            }
            for replica, pid in zip(self.replicas, pids, strict=True)
        ]
        self._event("ready", replicas=described, sglang_flags=self.sglang_flags or None)

    def draining(self) -> None:
        """With the seconds that they have."""
        self._event("draining", seconds=self.plan.drain_seconds)

    def killing(self) -> None:
        """No fields."""
        self._event("killing")

    def drained(self) -> None:
        """No fields. The last line, unless a replica failed."""
        self._event("drained")

    def failed(self, message: str) -> None:
        """With the message; and one line on stderr."""
        self._event("failed", message=message)
        super().failed(message)

    def _event(self, event: str, **fields: Any) -> None:
        self._out.say(Text(json.dumps({"event": event, **fields})))
