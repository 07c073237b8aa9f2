"""The real kubectl and helm, as a given user."""

import os
import subprocess
from pathlib import Path

PATIENCE = 600.0
"""Seconds that one command may take; `kubectl wait` has a limit of its own."""


class CommandFailedError(Exception):
    """A command ended with an error; the text is the command and what it wrote to stderr."""


def run(
    program: Path, *arguments: str, kubeconfig: Path, home: Path, input: str | None = None, check: bool = True
) -> str:
    """Run a program; its stdout.

    Args:
        program: kubectl, helm, or another that reads `KUBECONFIG`.
        arguments: Of the program.
        kubeconfig: Who asks which cluster.
        home: Where it keeps its caches: nothing of the caller's is read or written.
        input: For its stdin.
        check: Raise where it fails.

    Raises:
        CommandFailedError: It failed.
    """
    own = {"HOME": str(home), "KUBECONFIG": str(kubeconfig), "KUBECACHEDIR": str(home / "kube")}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KUBE", "HELM_", "XDG_"))}
    done = subprocess.run(
        [str(program), *arguments],
        env=kept | own,
        input=input,
        stdin=subprocess.DEVNULL if input is None else None,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    if check and done.returncode != 0:
        raise CommandFailedError(f"{program.name} {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout
