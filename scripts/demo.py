"""`make demo`: the main job on this machine, with the commands and the client that users have.

Small random models, two encoders for images and video and one for speech, real media and a file that is none, a
second pass from the cache, then a load during which an encoder is killed. Exit code 0 only if no request was lost.
"""

import asyncio
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.syntax import Syntax
from rich.table import Table

from scripts import demo_load, demo_media
from scripts.demo_metrics import Scrape, scrape, stage_table, total
from scripts.demo_pools import DemoFailedError, Up, program, write_pool

MEDIA = "media"
console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)

Replica = dict[str, Any]
"""As `encoderfleet up -o json` describes it."""


def main() -> int:
    """Run the demo; returns the exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    started = monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="encoderfleet-demo-") as folder, ExitStack() as cleanup:
            lost = _demo(Path(folder), cleanup)
    except (DemoFailedError, demo_media.MissingMediaError, TimeoutError) as error:
        console.print(f"[red]The demo failed:[/] {escape(str(error))}")
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted; whatever was started has been ended")
        return 130
    style = "red" if lost else "green"
    console.print(f"\n[bold {style}]lost {lost}[/]  (all of it took {monotonic() - started:.0f} s)")
    return 1 if lost else 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _demo(folder: Path, cleanup: ExitStack) -> int:
    _step("1. Two small models with random weights: the real classes and files, few and narrow layers")
    _make_models(folder, {"vision-model": "qwen2_5_vl", "speech-model": "qwen2_audio"}, cleanup)

    _step("2. Two pools: images and video on two replicas, speech on one")
    vision = write_pool(folder, "vision", "vision-model", replicas=2)
    speech = write_pool(folder, "speech", "speech-model", replicas=1)
    console.print(Syntax(vision.read_text(), "yaml", background_color="default"))
    _plan(folder, vision)

    _step("3. Start them")
    ups = [cleanup.enter_context(Up(pool, folder, count)) for pool, count in ((vision, 2), (speech, 1))]
    with console.status("loading models, warming up"):
        replicas: list[Replica] = [each for up in ups for each in up.event("ready")["replicas"]]
    console.print(_replica_table(replicas))

    _step("4. Photos, a video, speech, and a file that is no picture")
    files = demo_media.collect(folder / MEDIA)
    _encode(folder, files, replicas)
    _step("5. The same once more: the cache answers")
    _encode_again(folder, files, replicas)

    _step("6. A mixed load, and one of the encoders is killed")
    tally = _load(files, ups[0], replicas)

    _step("7. Where the time went, from /metrics")
    scrapes = {replica["name"]: scrape(replica["http"]) for replica in replicas}
    console.print(stage_table(scrapes))
    console.print(f"{replicas[0]['name']} counts from its restart", style="dim")
    console.print(f"\n$ curl -s {replicas[1]['http']}/metrics | grep ...", style="bold")
    console.print("\n".join(scrapes[replicas[1]["name"]].excerpt()), soft_wrap=True, markup=False)

    _step("8. Drain")
    for up in ups:
        up.drain()
    console.print("All encoders have finished what they had, and ended with exit code 0")
    return tally.lost


def _step(title: str) -> None:
    console.print()
    console.rule(f"[bold]{title}", align="left")


def _shown(arguments: Sequence[str]) -> None:
    console.print(f"$ encoderfleet {shlex.join(arguments)}", style="bold", soft_wrap=True, markup=False)


def _plan(folder: Path, pool: Path) -> None:
    """The arithmetic of the plan; its list of variables is long."""
    arguments = ("plan", pool.name)
    _shown(arguments)
    done = subprocess.run([*program(), *arguments], cwd=folder, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise DemoFailedError("there is no plan")
    arithmetic, _, variables = done.stdout.partition("Environment of a replica")
    console.print(arithmetic.rstrip(), markup=False, soft_wrap=True)
    # A reason that is long goes on in the next line, below the name's column.
    count = sum(line[:1].isupper() for line in variables.splitlines()[1:])
    console.print(f"... and {count} environment variables, each with its reason", style="dim")


def _make_models(folder: Path, families: dict[str, str], cleanup: ExitStack) -> None:
    """Both at a time: most of it is loading PyTorch."""
    running = []
    for directory, family in families.items():
        arguments = ["model", "new", "--family", family, directory]
        _shown(arguments)
        process = cleanup.enter_context(subprocess.Popen([*program(), *arguments], cwd=folder))
        cleanup.callback(process.kill)
        running.append(process)
    for process in running:
        if process.wait() != 0:
            raise DemoFailedError("no model, no demo")


def _replica_table(replicas: Sequence[Replica]) -> Table:
    table = Table("replica", "endpoint", "metrics", "pid", "CPUs", box=None, pad_edge=False)
    for replica in replicas:
        cpus = replica["cpus"]
        shown = f"{replica['env']['ENCODERFLEET_CPUS']} shared" if cpus is None else ",".join(map(str, cpus))
        row = (replica["name"], replica["endpoint"], f"{replica['http']}/metrics", str(replica["pid"]), shown)
        table.add_row(*row)
    return table


def _encode(folder: Path, files: demo_media.Files, replicas: Sequence[Replica]) -> None:
    """One `encode` over everything; the exit code must tell of the bad file, and of nothing else."""
    arguments = ("encode", "--endpoint", ",".join(replica["endpoint"] for replica in replicas))
    console.print(f"$ encoderfleet {shlex.join(arguments)} {MEDIA}/*", style="bold", soft_wrap=True, markup=False)
    names = [str(path.relative_to(folder)) for path in (*files.photos, files.clip, *files.speech, files.broken)]
    code = subprocess.run([*program(), *arguments, *names], cwd=folder).returncode
    if code != 1:
        raise DemoFailedError(f"encode ended with exit code {code}, not 1: only {files.broken.name} should have failed")


def _encode_again(folder: Path, files: demo_media.Files, replicas: Sequence[Replica]) -> None:
    before = _scrapes(replicas)
    _encode(folder, files, replicas)
    after = _scrapes(replicas)
    hits = total(after, "encoder_cache_hits_total") - total(before, "encoder_cache_hits_total")
    items = len(files.photos) + 1 + len(files.speech)
    console.print(f"{hits} of {items} from the cache (each replica has its own)")
    if hits == 0:
        raise DemoFailedError("the second pass did not hit the cache")


def _scrapes(replicas: Sequence[Replica]) -> list[Scrape]:
    return [scrape(replica["http"]) for replica in replicas]


def _load(files: demo_media.Files, up: Up, replicas: Sequence[Replica]) -> demo_load.Tally:
    def tell(text: str) -> None:
        console.print(f"  {text}")

    victim = replicas[0]
    tell(f"{demo_load.CALLERS} callers send crops of the photos, pieces of speech, the video and now and then garbage")
    kill = demo_load.Kill(victim["pid"], lambda: up.poll("restarted") is not None, tell)
    names = {replica["endpoint"]: replica["name"] for replica in replicas}
    tally = asyncio.run(demo_load.run(list(names), demo_media.mixed(files), kill))
    p50, p99 = np.percentile(tally.latencies, (50, 99))
    table = Table("sent", "encoded", "refused as garbage", "moved to another encoder", "lost", box=None, pad_edge=False)
    table.add_row(*map(str, (tally.sent, tally.encoded, tally.refused, tally.moved, tally.lost)))
    console.print(table)
    kinds = ", ".join(f"{tally.by[kind]} {kind}" for kind in ("image", "video", "audio"))
    shares = ", ".join(f"{tally.by[endpoint]} by {name}" for endpoint, name in names.items())
    console.print(f"{kinds}; {shares}\nan answer took {p50:.0f} ms (median), {p99:.0f} ms (99th percentile)")
    for problem, count in tally.problems.items():
        console.print(f"[red]{count} x[/] {escape(problem)}")
    return tally


if __name__ == "__main__":
    sys.exit(main())
