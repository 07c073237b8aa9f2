"""Becomes a replica: `python -m fleet_operator.local.launch PARENT CPUS PROGRAM [ARG...]`.

Runs in the child, between fork and the encoder, what must be done there: asks the kernel to kill this process when
its parent ends (a SIGKILL of `up` leaves no orphan), and pins it to its CPUs. Both survive the `exec` that follows. A
program of its own because Python code between fork and exec (`preexec_fn`) can deadlock on a lock that
another thread of the parent held.

`CPUS` is a list like `0,1,2`, or `-` for all that the parent has.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Have this process killed when `parent` ends; exits at once where it already has."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit(f"the parent, process {parent}, is gone")


def main(arguments: list[str]) -> None:
    """Tie this process to its parent, pin it, and become the program."""
    parent, cpus, *program = arguments
    die_with(int(parent))
    if cpus != "-":
        os.sched_setaffinity(0, {int(cpu) for cpu in cpus.split(",")})
    os.execvp(program[0], program)


if __name__ == "__main__":
    main(sys.argv[1:])
