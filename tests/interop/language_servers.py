"""SGLang's own lists of encoders, and pods that have their addresses; encoders that are nothing but what they say."""

import json
import random
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.cluster.kwok import CUSTOM

from operating.operator_process import Pools, until

PORT = 8997
STATIC = "http://static:30000"
"""What people have put there: it stays, whatever the operator does."""
LABELS = {"app": "vlm"}
MODEL = {"model_path": "/m", "model_type": "qwen2_5_vl", "architectures": ["Qwen2_5_VLForConditionalGeneration"]}
SERVER = {"dtype": "auto", "encoder_transfer_backend": "zmq_to_tokenizer", "language_only": True}

_PROGRAM = f"""\
import sys
from sglang.srt.disaggregation.encoder.receiver import EncoderBootstrapServer

static = "{STATIC}"
servers = {{host: EncoderBootstrapServer(host, {PORT}, urls=[static]) for host in sys.argv[1:]}}
print("started", flush=True)
for line in sys.stdin:
    host = line.strip()
    servers[host].close()
    servers[host] = EncoderBootstrapServer(host, {PORT}, urls=[static])
    print("restarted", flush=True)
"""


def addresses(count: int) -> list[str]:
    """Of this machine, as all of 127/8: each test has others."""
    network = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}"
    return [f"{network}.{number}" for number in range(1, count + 1)]


class Lists:
    """SGLang's `EncoderBootstrapServer`, one an address, in one process. A context manager.

    Args:
        python: Of an environment that has SGLang.
        hosts: Addresses.
    """

    def __init__(self, python: Path, hosts: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [python, "-c", _PROGRAM, *hosts], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.hosts = hosts

    def __enter__(self) -> "Lists":
        self._wait_for("started")
        for host in self.hosts:
            until(lambda host=host: self.urls(host) is not None)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def restart(self, host: str) -> None:
        """One of them begins with an empty list."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{host}\n")
        self._process.stdin.flush()
        self._wait_for("restarted")

    def _wait_for(self, word: str) -> None:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            if line.strip() == word:
                return
        raise AssertionError("SGLang's server has ended")

    def urls(self, host: str) -> set[str] | None:
        """What one knows, without what people have put there; None where it does not answer."""
        try:
            with urllib.request.urlopen(f"http://{host}:{PORT}/list_encoder_urls", timeout=5) as answer:
                found: list[str] = json.load(answer)["encoder_urls"]
        except OSError:
            return None
        # SGLang's health check takes it out for a while, as nobody is there.
        return {*found} - {STATIC}


@contextmanager
def saying(answers: Mapping[str, Any], *places: tuple[str, int]) -> Iterator[None]:
    """These addresses and ports answer so: path -> JSON."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path in answers
            text = json.dumps(answers[self.path] if known else {}).encode()
            self.send_response(200 if known else 404)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    with ExitStack() as stack:
        for place in places:
            server = stack.enter_context(ThreadingHTTPServer(place, Handler))
            stack.callback(server.shutdown)
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield


def encoders(*hosts: str, **said: Any) -> Any:
    """Encoders at these addresses, of the model `MODEL` where nothing else is said."""
    return saying({"/model_info": {**MODEL, **said}, "/health": {}}, *((host, 30000) for host in hosts))


def apis(*hosts: str, server: Mapping[str, Any] = SERVER, **said: Any) -> Any:
    """Language servers' APIs at these addresses."""
    return saying({"/model_info": {**MODEL, **said}, "/server_info": server}, *((host, 30000) for host in hosts))


def tell(pools: Pools, pod: str, ip: str, *, ready: bool = True) -> None:
    """Write a pod's status, as its kubelet would."""
    conditions = [{"type": "Ready", "status": str(ready)}, {"type": "PodScheduled", "status": "True"}]
    status = {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "conditions": conditions}
    pools.kubectl("patch", "pod", pod, "--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))


def start_pod(
    pools: Pools, name: str, ip: str, selector: Mapping[str, str], labels: Mapping[str, str] = LABELS
) -> None:
    """A language server's pod runs at an address."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels, "annotations": CUSTOM},
        "spec": {"nodeSelector": selector, "containers": [{"name": "main", "image": "sglang"}]},
    }
    pools.kubectl("apply", "-f", "-", input=json.dumps(pod))
    until(lambda: (pools.get("pod", name) or {}).get("spec", {}).get("nodeName"))
    tell(pools, name, ip)


def run_encoders(pools: Pools, pool: str, hosts: Sequence[str]) -> dict[str, str]:
    """All pods of a pool run and are ready, each at an address of its own: name -> address."""

    def placed() -> list[str]:
        pods = pools.all("pods", f"encoderfleet.io/pool={pool}")
        names = sorted(each["metadata"]["name"] for each in pods if each["spec"].get("nodeName"))
        return names if len(names) == len(hosts) else []

    given = dict(zip(until(placed), hosts, strict=True))
    for name, host in given.items():
        tell(pools, name, host)
    return given


def url(host: str) -> str:
    """Of an encoder."""
    return f"http://{host}:30000"
