"""A small program that keeps an encoder's contract with its supervisor: ports, /readyz, SIGTERM, exit codes.

What it does beside that is told by arguments: how long it starts and drains, whether it hears SIGTERM, how it ends.
"""

import argparse
import os
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def listening_socket(port: int) -> socket.socket:
    wire = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    wire.bind(("127.0.0.1", port))
    wire.listen()
    return wire


class Probes(BaseHTTPRequestHandler):
    state = "warming up"

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" or Probes.state == "ready" else 503)
        self.end_headers()
        self.wfile.write(Probes.state.encode())

    def log_message(self, format: str, *args: object) -> None:
        return


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--startup", type=float, default=0.0)
    parser.add_argument("--drain", type=float, default=0.0)
    parser.add_argument("--exit", type=int, help="say a line and end with this code at once")
    parser.add_argument("--exit-unless", help="with --exit: only while this file is missing; makes it")
    parser.add_argument("--exit-if", help="with --exit: only if this file is there; removes it")
    parser.add_argument("--lines", type=int, default=0, help="how many lines to say before it is ready")
    parser.add_argument("--deaf", action="store_true", help="ignore SIGTERM")
    options = parser.parse_args()
    replica = os.environ["ENCODERFLEET_REPLICA"]

    wanted = options.exit is not None
    if options.exit_unless:
        wanted = wanted and not os.path.exists(options.exit_unless)
        open(options.exit_unless, "w").close()
    if options.exit_if:
        wanted = wanted and os.path.exists(options.exit_if)
    if wanted:
        if options.exit_if:
            os.remove(options.exit_if)
        print(f"setting {replica} is wrong", file=sys.stderr)
        sys.exit(options.exit)

    # Waited for, not handled: a handler may come just before a wait that would never end then.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    wire = listening_socket(int(os.environ["ENCODERFLEET_BIND"].rpartition(":")[2]))
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["ENCODERFLEET_HTTP"].rpartition(":")[2])), Probes)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"cpus {sorted(os.sched_getaffinity(0))}", flush=True)
    time.sleep(options.startup)
    for number in range(options.lines):
        print(f"line {number} of many, and it is rather long: {'-' * 60}", flush=True)
    Probes.state = "ready"
    print("serving", flush=True)
    if options.deaf:
        threading.Event().wait()
    signal.sigwait({signal.SIGTERM})

    def second() -> None:
        signal.sigwait({signal.SIGTERM})
        os._exit(143)

    threading.Thread(target=second, daemon=True).start()
    Probes.state = "draining: finishing what it has"
    print("draining", flush=True)
    time.sleep(options.drain)
    wire.close()
    print("drained", flush=True)


main()
