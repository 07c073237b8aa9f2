"""Where file descriptors run out, the log says so once a second; before that, the limit is as high as may be."""

import asyncio
import errno
import resource
import subprocess
import sys

from structlog.testing import capture_logs

from fleet_encoder import descriptors


async def test_what_cannot_be_accepted_is_one_line() -> None:
    loop = asyncio.get_running_loop()
    descriptors.watch(loop)
    with capture_logs() as lines:
        for _ in range(100):
            loop.call_exception_handler(
                {"message": "socket.accept() out of system resource", "exception": OSError(errno.EMFILE, "too many")}
            )
    assert [line["log_level"] for line in lines] == ["error"]
    assert "ulimit -n" in lines[0]["event"]


def test_the_soft_limit_is_lifted() -> None:
    program = "import resource as r; from fleet_encoder.descriptors import raise_limit; raise_limit(); "
    done = subprocess.run(
        [
            "bash",
            "-c",
            f'ulimit -Sn 100; exec "$0" -c "{program} print(r.getrlimit(r.RLIMIT_NOFILE)[0])"',
            sys.executable,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert int(done.stdout) == min(hard, descriptors.MOST)
