"""SGLang's own receiver as a client of encoders: what a language server would get from these URLs, without the server.

Runs in SGLang's environment, not in ours, and prints one JSON line a request:

    python -P tests/interop/receiver.py --encoder-url http://127.0.0.1:30000 < requests.json

The input is a list of requests, `[{"image": [...], "video": [...], "audio": [...]}, ...]`. An item is a string (URL,
data URI, path) or an object as SGLang takes it (`{"url": ..., "content_hash": ...}`). With `"rid"` a request has that
name on the way to the scheduler, else a random one. With `--model` SGLang's processor of that model judges what comes
as it would in a server: as many rows as the grids say.
"""

import argparse
import asyncio
import contextvars
import hashlib
import itertools
import json
import logging
import os
import sys
import tempfile
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from sglang.srt.disaggregation.encoder.receiver import MMReceiverHTTP
from sglang.srt.managers.io_struct import GenerateReqInput, TokenizedGenerateReqInput
from sglang.srt.runtime_context import SpawnRanks, get_parallel, publish
from sglang.srt.sampling.sampling_params import SamplingParams
from sglang.srt.server_args import ServerArgs
from sglang.srt.utils.hf_transformers_utils import get_config

TICK_SECONDS = 0.002
"""How often the scheduler's side is asked; a real scheduler asks in every step."""

Result = dict[str, Any]

_asking: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar("asking", default=None)


class Received:
    """All embeddings of one request, as they would be handed to the model."""

    def __init__(self, embeddings: dict[Any, torch.Tensor], extras: dict[str, Any], input_ids: list[int]) -> None:
        self.embeddings = embeddings
        self.extras = extras
        self.input_ids = input_ids


class Recorder:
    """Stands where SGLang has its multimodal processor: keeps what was received, and lets the real one judge it."""

    prefer_tokenized_input = False

    def __init__(self, real: Any = None) -> None:
        self._real = real

    def prompt(self, request: dict[str, Any]) -> str:
        """A prompt with one placeholder for each item."""
        if self._real is None:
            return ""
        tokens = self._real.mm_tokens
        return "".join(
            placeholder * len(request.get(kind, ()))
            for kind, placeholder in (
                ("image", tokens.image_token),
                ("video", tokens.video_token),
                ("audio", tokens.audio_token),
            )
            if placeholder
        )

    def get_validated_mm_data(self, prompt: Any, embeddings: dict[Any, torch.Tensor], **extras: Any) -> Received:
        """See SGLang's `BaseMultimodalProcessor`."""
        judged = self._real.get_validated_mm_data(prompt, embeddings, **extras) if self._real else None
        return Received(embeddings, extras, list(judged.input_ids) if judged else [])


class Receiver(MMReceiverHTTP):
    """SGLang's receiver, but that a failed request needs no scheduler."""

    def create_req(self, recv_req: Any) -> Any:
        return recv_req


class Complaints(logging.Handler):
    """To the tokenizer, the receiver only logs why a request failed: each line is kept for the request at hand."""

    def emit(self, record: logging.LogRecord) -> None:
        if (lines := _asking.get()) is not None:
            text = record.getMessage()
            if record.exc_info and record.exc_info[1]:
                text += f" ({record.exc_info[1]!r})"
            lines.append(text)


class ToTokenizer:
    """The way of `zmq_to_tokenizer`: a socket for each request."""

    def __init__(self, arguments: ServerArgs, config: Any, urls: list[str]) -> None:
        publish(arguments, role="tokenizer")
        self._receiver = Receiver(arguments, hf_config=config, encode_urls=urls)
        self.recorder = _recorder(self._receiver, arguments, config)

    async def ask(self, request: GenerateReqInput) -> tuple[Received | None, str, int | None]:
        lines: list[str] = []
        _asking.set(lines)
        received = await self._receiver.recv_mm_data(request, self.recorder, request.text)
        return received, "; ".join(lines), None

    def close(self) -> None:
        """Nothing runs on."""


class ToScheduler:
    """The way of `zmq_to_scheduler`: the tokenizer's process sends, the scheduler's has one socket for all requests."""

    def __init__(self, arguments: ServerArgs, config: Any, urls: list[str]) -> None:
        publish(arguments, role="scheduler", ranks=SpawnRanks(world_rank=0))
        rendezvous = Path(tempfile.mkdtemp()) / "rendezvous"
        torch.distributed.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=0, world_size=1)
        get_parallel().override_permanently(tp_group=OneRank())
        self._sender = Receiver(arguments, hf_config=config, encode_urls=urls)
        self._receiver = Receiver(arguments, hf_config=config, scheduler=self, encode_urls=urls)
        self.recorder = _recorder(self._receiver, arguments, config)
        self._receiver.mm_processor = self.recorder
        self._waiting: dict[str, asyncio.Future[tuple[Received | None, str, int | None]]] = {}
        self._new: list[Any] = []
        self._ticking: asyncio.Task[None] | None = None

    async def ask(self, request: GenerateReqInput) -> tuple[Received | None, str, int | None]:
        loop = asyncio.get_running_loop()
        if self._ticking is None:
            self._ticking = loop.create_task(self._tick())
        dispatched = self._sender.send_encode_request(
            request, on_dispatch_error=lambda error: loop.call_soon_threadsafe(self._put, error)
        )
        if dispatched is None:
            return None, "no encoder URLs", None
        answer = self._waiting[request.rid] = loop.create_future()
        self._new.append(_tokenized(request))
        dispatched.set()
        return await answer

    def _put(self, message: Any) -> None:
        # Looked up here, not in the thread that tells: by then the list may be the one that a tick has taken.
        self._new.append(message)

    async def _tick(self) -> None:
        while True:
            new, self._new = self._new, []
            done, failed = self._receiver.process_waiting_requests(new)
            for request in done:
                self._waiting.pop(request.rid).set_result((request.mm_inputs, "", None))
            for request, text, code in failed:
                code = None if code is None else int(HTTPStatus(code))
                self._waiting.pop(request.rid).set_result((None, text or "no reason given", code))
            await asyncio.sleep(TICK_SECONDS)

    def close(self) -> None:
        """End the ticks."""
        if self._ticking is not None:
            self._ticking.cancel()
        torch.distributed.destroy_process_group()


class OneRank:
    """A tensor-parallel group of this process alone."""

    world_size = 1
    rank_in_group = 0

    @property
    def cpu_group(self) -> Any:
        return torch.distributed.group.WORLD


def _recorder(receiver: Receiver, arguments: ServerArgs, config: Any) -> Recorder:
    if config is None:
        return Recorder()
    if not hasattr(receiver, "mm_processor"):  # the tokenizer's has it elsewhere
        receiver._init_mm_processor(arguments, config)
    return Recorder(receiver.mm_processor)


def _tokenized(request: GenerateReqInput) -> TokenizedGenerateReqInput:
    made = TokenizedGenerateReqInput(
        rid=request.rid,
        input_text=request.text,
        input_ids=None,
        input_embeds=None,
        mm_inputs=None,
        token_type_ids=None,
        sampling_params=SamplingParams(),
        return_logprob=False,
        logprob_start_len=-1,
        top_logprobs_num=0,
        token_ids_logprob=None,
        stream=False,
    )
    made.need_wait_for_mm_inputs = request.need_wait_for_mm_inputs
    made.num_items_assigned = request.num_items_assigned
    made.encoder_urls = request.encoder_urls
    return made


async def _run(way: ToTokenizer | ToScheduler, requests: list[dict[str, Any]], concurrency: int, save: str) -> int:
    numbered, failures = iter(enumerate(requests)), itertools.count()

    async def work() -> None:
        for number, request in numbered:
            asked = GenerateReqInput(
                rid=request.get("rid"),
                text=way.recorder.prompt(request),
                image_data=request.get("image"),
                video_data=request.get("video"),
                audio_data=request.get("audio"),
            )
            started = time.monotonic()
            # In a task of its own, so that the receiver's log lines find their request.
            received, error, code = await asyncio.create_task(way.ask(asked))
            seconds = time.monotonic() - started
            result = {"number": number, "ok": received is not None, "seconds": round(seconds, 4)}
            if received is None:
                next(failures)
                result |= {"error": error, "code": code}
            else:
                result |= _described(received, Path(save) / f"{number}.safetensors" if save else None)
            print(json.dumps(result), flush=True)

    await asyncio.gather(*(work() for _ in range(concurrency)))
    way.close()
    return next(failures)


def _described(received: Received, path: Path | None) -> Result:
    parts = {modality.name.lower(): rows for modality, rows in received.embeddings.items()}
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: rows.contiguous() for name, rows in parts.items()}, path)
    return {
        "embeddings": {
            name: {
                "shape": list(rows.shape),
                "dtype": str(rows.dtype).removeprefix("torch."),
                "sha256": hashlib.sha256(rows.contiguous().view(torch.uint8).numpy().tobytes()).hexdigest(),
            }
            for name, rows in parts.items()
        },
        "extras": {name: _plain(value) for name, value in received.extras.items() if value is not None},
        "tokens": len(received.input_ids),
        "file": None if path is None else str(path),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value if isinstance(value, (int, float, str, type(None))) else str(value)


def main() -> int:
    """Ask for all requests of the file; 0 where all came."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder-url", action="append", required=True, help="once for each encoder")
    parser.add_argument("--backend", choices=["zmq_to_tokenizer", "zmq_to_scheduler"], default="zmq_to_tokenizer")
    parser.add_argument("--model", default="", help="its processor checks what comes")
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument(
        "--save", default="", metavar="FOLDER", help="embeddings as N.safetensors, one tensor a modality"
    )
    parser.add_argument("requests", nargs="?", default="-", help="JSON file [stdin]")
    options = parser.parse_args()
    requests = json.load(sys.stdin if options.requests == "-" else open(options.requests))  # noqa: SIM115

    os.environ.setdefault("SGLANG_HOST_IP", "127.0.0.1")
    log = logging.getLogger("sglang.srt.disaggregation.encoder.receiver")
    log.addHandler(Complaints(logging.WARNING))
    arguments = ServerArgs(
        model_path=options.model or "dummy",
        device="cpu",
        host="127.0.0.1",
        language_only=True,
        encoder_urls=options.encoder_url,
        encoder_transfer_backend=options.backend,
    )
    config = get_config(options.model, trust_remote_code=False) if options.model else None
    ways = {"zmq_to_tokenizer": ToTokenizer, "zmq_to_scheduler": ToScheduler}
    way = ways[options.backend](arguments, config, options.encoder_url)
    return 1 if asyncio.run(_run(way, requests, options.concurrency, options.save)) else 0


if __name__ == "__main__":
    sys.exit(main())
