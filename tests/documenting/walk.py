"""Pages whose commands are typed: each `$ command` of a block ```` ```console ````, with what it printed below."""

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.cluster.processes import Process

BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)
SHAPES = (
    # Names end in what nobody chose, and most numbers are of this run.
    (r"\b([a-z]+(?:-[a-z]+)*)-[0-9a-z]{8,10}-[0-9a-z]{5}\b", r"\1-*"),
    (r"[0-9]+(?:[.:/m][0-9]+)*", "0"),
    (r"[-─━]{3,}", "---"),
    (r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) \w{3}\b", "day"),
    (r"[ \t]+", " "),
    (r" $", ""),
)


def shape(text: str) -> str:
    """Of an output, what does not change from run to run. Pure."""
    for pattern, instead in SHAPES:
        text = re.sub(pattern, instead, text, flags=re.MULTILINE)
    return text


def commands(block: str) -> list[str]:
    """Of a block. Pure."""
    return re.findall(r"^\$ (.*)$", block, re.MULTILINE)


def walked(text: str, run: Callable[[str], str]) -> str:
    """The page with what its commands print now."""

    def anew(block: re.Match[str]) -> str:
        return "".join(f"$ {command}\n{run(command)}" for command in commands(block[0]))

    return BLOCK.sub(anew, text)


class Shell:
    """Runs commands one after the other; one that ends in `&` runs until `close`.

    Args:
        folder: In which they run.
        variables: Over those of this process.
    """

    def __init__(self, folder: Path, **variables: str) -> None:
        self._folder = folder
        self._variables = {**os.environ, **variables}
        self._running: list[Process] = []

    def run(self, command: str) -> str:
        """What it prints.

        Raises:
            AssertionError: It failed.
        """
        if command.endswith("&"):
            return self._start(command.removesuffix("&").rstrip())
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self._folder,
            env=self._variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return _tidy(done.stdout)

    def close(self) -> None:
        """End what still runs."""
        for each in self._running:
            each.end()

    def _start(self, command: str) -> str:
        log = self._folder / f"background-{len(self._running)}.log"
        names = [f"{name}={self._variables[name]}" for name in ("PATH", "KUBECONFIG", "HOME")]
        process = Process(command, ["env", f"--chdir={self._folder}", *names, "bash", "-c", f"exec {command}"], log)
        self._running.append(process)
        process.wait_until(lambda: log.exists() and log.stat().st_size > 0)
        time.sleep(1)  # a second line may follow
        return _tidy(log.read_text())


def _tidy(output: str) -> str:
    lines: Iterator[str] = (line.rstrip() for line in output.splitlines())
    return "\n".join(lines).rstrip("\n") + "\n" if output.strip() else ""
