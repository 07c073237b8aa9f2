"""The language server's side of SGLang's wire, by hand: HTTP for requests, PULL sockets for embeddings.

As SGLang 0.5.23's receiver does, frame 0 is read by an unpickler that lets in a list of names and nothing else; what
stands behind SGLang's own names here is a stand-in.
"""

import enum
import io
import json
import pickle
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import torch
import zmq
import zmq.asyncio

SECONDS = 90
HOST = "127.0.0.1"


class Modality(enum.Enum):
    IMAGE = 1
    VIDEO = 2
    AUDIO = 3


class EmbeddingData:
    """As SGLang's: plain attributes."""

    def __init__(self) -> None:
        raise AssertionError("unpickling does not construct")


ALLOWED: dict[tuple[str, str], Any] = {
    ("sglang.srt.disaggregation.encoder.receiver", "EmbeddingData"): EmbeddingData,
    ("sglang.srt.managers.schedule_batch", "Modality"): Modality,
    ("sglang.srt.multimodal.modality", "Modality"): Modality,
    **{
        ("torch", name): getattr(torch, name)
        for name in ("float16", "bfloat16", "float32", "float64", "LongTensor", "FloatTensor")
    },
}
"""The part of `SafeUnpickler.ALLOWED_GLOBALS` that embeddings need (SGLang 0.5.23, `srt/utils/common.py`)."""


class StrictUnpickler(pickle.Unpickler):
    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"blocked: {module}.{name}")
        return ALLOWED[module, name]


@dataclass
class Part:
    """One message: its description, and the rows; None where it tells of a failure."""

    about: Any
    rows: torch.Tensor | None


def part(frames: Sequence[bytes]) -> Part:
    """A message taken apart as SGLang's receiver does it."""
    about = StrictUnpickler(frames[0]).load()
    assert type(about) is EmbeddingData
    if about.error_msg is not None:
        assert len(frames) == 1
        return Part(about, None)
    assert len(frames) == 2
    return Part(about, torch.frombuffer(bytearray(frames[1]), dtype=about.dtype).reshape(about.shape).clone())


@dataclass
class Answer:
    status: int
    body: Any
    headers: "aiohttp.typedefs.LooseHeaders"


class LanguageServer:
    """One PULL socket, and a connection to one encoder.

    Args:
        url: The encoder's.
        context: Of ZMQ.
        session: Of HTTP.
        host: Its own address, as the encoder reaches it.
    """

    def __init__(
        self, url: str, context: "zmq.asyncio.Context", session: aiohttp.ClientSession, host: str = HOST
    ) -> None:
        self.url = url
        self.host = host
        self.context = context
        self.session = session
        self.sockets: list[zmq.asyncio.Socket] = []
        self.socket, self.port = self.pull()

    def pull(self, host: str = "") -> "tuple[zmq.asyncio.Socket, int]":
        """One more socket that takes embeddings."""
        socket = self.context.socket(zmq.PULL)
        self.sockets.append(socket)
        socket.setsockopt(zmq.RCVHWM, 0)
        return socket, socket.bind_to_random_port(f"tcp://{host or self.host}")

    def request(self, items: Sequence[Any], modality: str = "IMAGE", **fields: Any) -> dict[str, Any]:
        """A body of `/encode` as SGLang's client sends it."""
        return {
            "encoder_idx": 0,
            "encoder_url": self.url,
            "mm_items": list(items),
            "num_parts": 1,
            "part_idx": 0,
            "req_id": "r_local_part_0",
            "modality": modality,
            "prefill_host": self.host,
            "embedding_port": self.port,
            "time_stats_json": None,
            **fields,
        }

    async def post(self, path: str, body: Any, **options: Any) -> Answer:
        """POST JSON, or bytes as they are."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **options.pop("headers", {})}
        # As a file: aiohttp warns of large bytes.
        async with self.session.post(self.url + path, data=io.BytesIO(data), headers=headers, **options) as reply:
            return Answer(reply.status, await reply.json(content_type=None), reply.headers)

    async def get(self, path: str) -> tuple[int, str]:
        async with self.session.get(self.url + path) as reply:
            return reply.status, await reply.text()

    async def encode(self, items: Sequence[Any], modality: str = "IMAGE", **fields: Any) -> Answer:
        return await self.post("/encode", self.request(items, modality, **fields))

    async def tell(self, req_id: str, port: int, count: int = 1) -> Answer:
        """`/scheduler_receive_url`, of one rank."""
        where = f"{self.host}:{port}"
        body = {"req_id": req_id, "receive_count": count, "receive_url": where, "modality": "IMAGE"}
        return await self.post("/scheduler_receive_url", body)

    async def receive(self, socket: "zmq.asyncio.Socket | None" = None) -> Part:
        """The next message."""
        socket = socket or self.socket
        assert await socket.poll(SECONDS * 1000), "no embedding came"
        return part(await socket.recv_multipart())

    async def nothing_more(self) -> bool:
        """Whether no message lies here. The encoder pushes before it answers, so there is nothing to wait for."""
        return not await self.socket.poll(300)

    async def ask(self, items: Sequence[Any], modality: str = "IMAGE", **fields: Any) -> Part:
        """Encode, and take what is delivered."""
        answer = await self.encode(items, modality, **fields)
        assert answer.status == 200, answer.body
        return await self.receive()


@asynccontextmanager
async def language_server(url: str, host: str = HOST) -> AsyncIterator[LanguageServer]:
    context = zmq.asyncio.Context()
    connector = aiohttp.TCPConnector(limit=0, force_close=True)  # as SGLang's client: a connection for each request
    try:
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(SECONDS)) as session:
            server = LanguageServer(url, context, session, host)
            try:
                yield server
            finally:
                for each in server.sockets:
                    each.close(linger=0)
    finally:
        context.term()
