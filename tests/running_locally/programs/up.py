"""`encoderfleet up` with another program as encoder: `up.py "PROGRAM ARG..." POOL [OPTION...]`.

Restarts are quick, so that what takes five failed starts is seen within a second; what hangs is found within three;
who waits is told so five times a second.
"""

import shlex
import sys
from functools import partial

from fleet_cli import up, up_table
from fleet_operator.local import backoff

backoff.FIRST_DELAY = 0.05
up_table.REMIND_SECONDS = 0.2
up.Patience = partial(up.Patience, health_interval=0.5)
up.serve = partial(up.serve, program=(sys.executable, *shlex.split(sys.argv.pop(1))))
up.command(prog_name="encoderfleet up")
