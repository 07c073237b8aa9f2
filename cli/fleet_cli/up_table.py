"""`encoderfleet up` for people: progress while the replicas load, a table, then their lines as they come."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic

from rich.progress import Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from fleet_cli import up_waiting
from fleet_cli.up_report import Report
from fleet_operator.local.supervise import Change, State, Supervisor

REMIND_SECONDS = 15.0
COLORS = ("cyan", "magenta", "green", "blue", "yellow")


class _SaysColumn(ProgressColumn):
    """What a replica says about why it is not ready yet."""

    def render(self, task: Task) -> Text:
        supervisor: Supervisor = task.fields["supervisor"]
        return Text("ready" if task.finished else up_waiting.says(supervisor.state, supervisor.progress))


class TableReport(Report):
    """Tables on stdout; progress, changes and the replicas' lines on stderr."""

    def starting(self) -> None:
        """What will run, and what may be wrong with it."""
        self._started = monotonic()
        self._all_ready = False
        self._rows: dict[str, TaskID] = {}
        self._progress: Progress | None = None
        count = len(self.replicas)
        self._say(f"Pool {self.plan.pool}: starting {count} {'replica' if count == 1 else 'replicas'} on this machine")
        for warning in self.plan.warnings:
            self._say(f"warning: {warning}", "yellow")
        self._say(up_waiting.FIRST, "dim")

    def change(self, change: Change) -> None:
        """One line each."""
        name, seconds = change.replica, monotonic() - self._started
        match change.state:
            case State.READY if self._all_ready:
                self._say(f"{name} is ready again, pid {change.pid}", "green")
            case State.READY:
                self._say(f"{name} is ready after {seconds:.1f} s", "green")
                if self._progress is not None:
                    self._progress.update(self._rows[name], completed=1)
            case State.CRASHED if change.restart_in is not None:
                self._say(f"{name} {change.message}, restart in {change.restart_in:.0f} s", "red")
            case State.CRASHED:
                self._say(f"{name} {change.message}", "red")
            case State.STOPPED if change.code not in (None, 0):
                self._say(f"{name} stopped: {change.message}", "yellow")
            case State.STOPPED:
                self._say(f"{name} stopped")
            case _:
                pass

    def line(self, replica: str, line: str) -> None:
        """Behind the replica's name, in its color."""
        if not self.quiet:
            number = [each.name for each in self.replicas].index(replica)
            self._err.log(Text.assemble((f"{replica} | ", COLORS[number % len(COLORS)]), line))

    @contextmanager
    def waiting(self, supervisors: Sequence[Supervisor]) -> Iterator[None]:
        """A row a replica, with what it says; where stderr is not a terminal, a line now and then."""
        if not self._err.console.is_terminal:
            reminding = asyncio.get_running_loop().create_task(self._remind(supervisors))
            try:
                yield
            finally:
                reminding.cancel()
            return
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), _SaysColumn())
        # Drawn by the writer's thread alone: a frozen terminal would hold whoever draws.
        progress = Progress(*columns, console=self._err.console, transient=True, auto_refresh=False)
        self._rows = {each.name: progress.add_task(each.name, total=1, supervisor=each) for each in supervisors}
        self._progress = progress
        self._err.animate(progress.start, progress.refresh)
        try:
            yield
        finally:
            self._progress = None
            self._err.settle(progress.stop)

    async def _remind(self, supervisors: Sequence[Supervisor]) -> None:
        """Whoever reads a file or a pipe shall see that it goes on."""
        while True:
            await asyncio.sleep(REMIND_SECONDS)
            if line := up_waiting.still(monotonic() - self._started, supervisors):
                self._say(line, "dim")

    def ready(self, pids: Sequence[int]) -> None:
        """Where they are, what each may use, and the line to paste."""
        self._all_ready = True
        table = Table("replica", "endpoint", "metrics", "pid", "CPUs", "threads", box=None, pad_edge=False)
        budget = self.plan.budget
        threads = (
            f"{budget.preprocess_workers} preprocess x {budget.intra_op_threads}, "
            f"{budget.video_decode_threads} decode x {budget.ffmpeg_threads}, {budget.forward_threads} forward"
        )
        for replica, pid in zip(self.replicas, pids, strict=True):
            cpus = f"{budget.cpus} shared" if replica.cpus is None else ",".join(map(str, sorted(replica.cpus)))
            ports = replica.ports
            table.add_row(replica.name, ports.endpoint, f"http://{ports.http_address}/metrics", str(pid), cpus, threads)
        self._out.say(table)
        endpoints = ",".join(replica.ports.endpoint for replica in self.replicas)
        self._out.say(f"Try:   encoderfleet encode --endpoint {endpoints} FILE_OR_URL...")
        if self.sglang_flags:
            # In one piece, however narrow the terminal: it is to be pasted.
            self._out.say(Text(f"SGLang: {self.sglang_flags}", no_wrap=True, overflow="ignore"))
        self._out.say("Stop:  Ctrl-C lets the replicas finish what they have; a second Ctrl-C does not wait")

    def draining(self) -> None:
        """And how to be faster."""
        self._say(f"Draining, at most {self.plan.drain_seconds} s; Ctrl-C again ends them at once", "yellow")

    def killing(self) -> None:
        """Their requests fail over to other replicas, where there are any."""
        self._say("Killing the replicas", "red")

    def drained(self) -> None:
        """The last line."""
        self._say("All replicas have ended")

    def _say(self, text: str, style: str = "") -> None:
        self._err.say(Text(text, style=style))
