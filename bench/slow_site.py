"""A web server on loopback that lets every download wait: someone's slow site."""

import itertools
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

from bench.media import uniquely


class SlowSite:
    """Serves one photo, other bytes each time, `stall` seconds after it was asked for. A context manager.

    Attributes:
        url: Of the photo.
    """

    def __init__(self, photo: Path, stall: float) -> None:
        make, serials = uniquely(photo), itertools.count()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = make(next(serials))
                time.sleep(stall)
                self.send_response(200)
                self.send_header("Content-Type", "image/jpeg")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}/photo.jpg"

    def __enter__(self) -> "SlowSite":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
