"""Encoders that are nothing but their metrics, for pods of pretend nodes."""

import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from autoscaling.encoder_text import Encoder
from fleet_operator.specs.names import HTTP_PORT
from operating.operator_process import Pools, until

ADDRESS = ".".join(["127", *(str(random.randint(1, 254)) for _ in range(3))])
"""Of this machine, as all of 127/8; the port must be the one that encoders have in their pods."""


@contextmanager
def serving(pools: Pools, pool: str) -> Iterator[None]:
    """All pods of `pool`, whose status KWOK leaves alone, run at an address where an encoder tells its metrics."""
    text = Encoder(device=None).text().encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer((ADDRESS, HTTP_PORT), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            for name in until(lambda: _placed(pools, pool)):
                status = {"phase": "Running", "podIP": ADDRESS, "podIPs": [{"ip": ADDRESS}]}
                patch = json.dumps({"status": status})
                pools.kubectl("patch", "pod", name, "--subresource=status", "--type=merge", "-p", patch)
            yield
        finally:
            server.shutdown()


def _placed(pools: Pools, pool: str) -> list[str]:
    """Its pods, when each has a node."""
    pods = pools.all("pods", f"encoderfleet.io/pool={pool}")
    wanted = pools.get("encp", pool)["spec"]["replicas"]
    placed = [each["metadata"]["name"] for each in pods if each["spec"].get("nodeName")]
    return placed if len(placed) == wanted else []
