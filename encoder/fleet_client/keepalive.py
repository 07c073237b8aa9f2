"""How both ends notice that the host of the other one has vanished: by TCP, not by ZeroMQ's heartbeats.

libzmq's heartbeats stand still while a socket does not read, end healthy connections then, and can abort the process
(zeromq/libzmq issues 3937 and 4364): a process that was frozen for a while would not survive its thawing. The kernel
answers keepalives for a process that is frozen, busy, or still receiving one large frame.
"""

import zmq

IDLE_SECONDS = 10
INTERVAL_SECONDS = 5


def options(silence: float) -> dict[int, int]:
    """Options of a socket, to be set before it binds or connects.

    Args:
        silence: Seconds after which a connection ends whose other end acknowledges nothing, be it data or a probe on
            an idle line, or reads nothing of what waits for it (Linux: TCP_USER_TIMEOUT; it stands in for a number of
            probes).
    """
    return {
        zmq.TCP_KEEPALIVE: 1,
        zmq.TCP_KEEPALIVE_IDLE: IDLE_SECONDS,
        zmq.TCP_KEEPALIVE_INTVL: INTERVAL_SECONDS,
        zmq.TCP_MAXRT: round(1000 * silence),
    }
