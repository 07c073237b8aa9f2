"""How both ends notice that the host of the other one has vanished: by TCP, not by ZeroMQ's heartbeats.

libzmq's heartbeats stand still while a socket does not read, end healthy connections then, and can abort the process
(zeromq/libzmq issues 3937 and 4364): a process that was frozen for a while would not survive its thawing. The kernel
answers keepalives for a process that is frozen, busy, or still receiving one large frame.
"""

import zmq

IDLE_SECONDS = 10
INTERVAL_SECONDS = 5
PROBES = 4


def options(unacknowledged: float) -> dict[int, int]:
    """Options of a socket, to be set before it binds or connects.

    An idle connection to a vanished host ends after 30 seconds.

    Args:
        unacknowledged: Seconds after which a connection ends whose peer takes nothing of what was sent to it.
    """
    return {
        zmq.TCP_KEEPALIVE: 1,
        zmq.TCP_KEEPALIVE_IDLE: IDLE_SECONDS,
        zmq.TCP_KEEPALIVE_INTVL: INTERVAL_SECONDS,
        zmq.TCP_KEEPALIVE_CNT: PROBES,
        zmq.TCP_MAXRT: round(1000 * unacknowledged),
    }
