"""A pool at work in all the ways that a panel shows: good media, bad media, floods, repeats, and language servers."""

import asyncio
import base64
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path

import zmq

from fleet_client.protocol import Sampling
from peer import Peer, unique_jpeg
from speaking_sglang.language_server import HOST, language_server

FLOOD = 24
"""Pictures at once; more patches than the pool takes in."""


class Load:
    """Callers that go on until they are stopped.

    Args:
        hosts: Addresses of encoders, at which they have the ports of pods.
        photo: A JPEG.
        clip: A video.
        here: Address of this machine, as encoders reach it.
    """

    def __init__(self, hosts: Callable[[], list[str]], photo: Path, clip: Path, here: str = HOST) -> None:
        self._here = here
        self._hosts = hosts
        self._photo = photo
        self._clip = clip
        self._stop = threading.Event()
        self.rounds = 0
        self.failed: list[str] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(120)

    def _run(self) -> None:
        for number in count():
            if self._stop.is_set():
                return
            try:
                for host in self._hosts():
                    self._native(host, number)
                    asyncio.run(self._sglang(f"http://{host}:30000", number))
            except Exception as error:  # told by the test, which waits for rounds
                self.failed.append(repr(error))
            else:
                self.rounds += 1

    def _native(self, host: str, number: int) -> None:
        endpoint = f"tcp://{host}:5570"
        again = unique_jpeg(self._photo, number)
        with Peer(endpoint) as peer:
            peer.ask([("image", again), ("image", again), ("image", b"no picture")], request="one")
            peer.ask([("image", again)], request="two")
            peer.ask(
                [("video", self._clip.read_bytes() + bytes(number % 64))], request="clip", sampling=Sampling(frames=4)
            )
            peer.ask([("image", unique_jpeg(self._photo, each)) for each in range(FLOOD)], request="flood")
            peer.socket.send(b"no message")
            self._leave(endpoint)

    def _leave(self, endpoint: str) -> None:
        """A caller that is gone before its answer comes."""
        with Peer(endpoint) as peer:
            peer.socket.setsockopt(zmq.LINGER, 1000)
            peer.encode([("image", unique_jpeg(self._photo, 0))], request="gone")

    async def _sglang(self, url: str, number: int) -> None:
        picture = base64.b64encode(unique_jpeg(self._photo, number)).decode()
        async with language_server(url, self._here) as server:
            await server.ask([f"data:image/jpeg;base64,{picture}"], req_id=f"r{number}_local_part_0")
            await server.encode(["data:image/jpeg;base64,AAAA"], req_id=f"bad{number}_local_part_0")
