"""Today's way to run an encoder: the program that ours is measured against.

Written from descriptions of SGLang's encoder server, release 0.5.23 with its pull requests 25669 (preprocessing off the
event loop) and 25588 (parallel decode of a video); it holds no line of it. Every choice, and whom it favours:

* process: one asyncio process, Python's own event loop.
* transport: ours. The same ZMQ messages, so that one load generator drives both; it spares the baseline HTTP, JSON
  and base64.
* loading: a pool of 4 threads (the default of SGLANG_ENCODER_MM_LOAD_WORKERS) downloads, and decodes images with
  Pillow through transformers' `load_image`. A download holds its thread until it ends.
* preprocessing: Hugging Face's processors, their default torchvision backend, in a pool of 8 threads of its own (the
  default of SGLANG_ENCODER_PREPROC_WORKERS), whatever the CPUs.
* video: decoded in that pool, off the event loop. The wanted frames go in `np.array_split` parts over
  min(os.cpu_count(), 16) torchcodec decoders with torchcodec's own defaults. Favours the baseline: the release still
  decodes some families' videos on the event loop.
* forward: transformers' own tower and its default attention, one forward a request (all items of the request in it),
  called on the event loop's thread, as the release does. Favours the baseline on a CPU, where the release's attention
  builds a dense mask and takes twice as long for one image, and far longer for a batch.
* lock: none. Favours the baseline: the release holds one lock over loading, preprocessing and forward, so that one slow
  download stops everybody. `--dispatch-lock` does likewise.
* torch threads: no variable is set. torch takes a thread a core for a forward, and as many in each of the 8 workers.
* numbers: the dtype of the checkpoint, and the same model directory as ours.
* limits, caches: none. No admission, deadlines, cancelling, size checks or cache: all that costs it nothing.
* failures: a bad item fails its whole request.

`python -m bench.baselines.today --model DIR --bind tcp://127.0.0.1:PORT`
"""

import argparse
import asyncio
import contextlib
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from time import perf_counter

import torch
import zmq
import zmq.asyncio

from bench.baselines.work import Model, Prepared, load_bytes, load_picture
from fleet_client.protocol import (
    VERSION,
    Encode,
    Hello,
    Meta,
    Result,
    Status,
    Tensor,
    Welcome,
    pack,
    unpack_from_client,
)

LOAD_WORKERS = 4
PREPROCESS_WORKERS = 8


class Today:
    """The server: reads messages, runs requests, answers each item.

    Args:
        model: Processors and tower.
        socket: A bound ROUTER.
        lock: Held over a request's whole work, or a null context.
    """

    def __init__(
        self, model: Model, socket: "zmq.asyncio.Socket", lock: contextlib.AbstractAsyncContextManager[None]
    ) -> None:
        self.model = model
        self.socket = socket
        self.lock = lock
        self.loaders = ThreadPoolExecutor(LOAD_WORKERS, thread_name_prefix="load")
        self.preprocessors = ThreadPoolExecutor(PREPROCESS_WORKERS, thread_name_prefix="preprocess")
        self.tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Take messages until cancelled."""
        while True:
            peer, header, *frames = await self.socket.recv_multipart()
            message = unpack_from_client(header)
            if isinstance(message, Hello):
                await self.socket.send_multipart([peer, pack(self.welcome())])
            elif isinstance(message, Encode):
                task = asyncio.create_task(self.answer(peer, message, frames))
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)

    async def answer(self, peer: bytes, request: Encode, frames: list[bytes]) -> None:
        """Work on one request, and send one Result an item."""
        try:
            results = await self.encode(request, frames)
        except Exception as error:
            failed = Result(id=request.id, index=-1, status=Status.INVALID, message=f"{type(error).__name__}: {error}")
            await self.socket.send_multipart([peer, pack(failed)])
            return
        for result, rows in results:
            # numpy has no bfloat16: the buffer is sent as bytes.
            buffer = rows.contiguous().view(torch.uint8).numpy()
            await self.socket.send_multipart([peer, pack(result), buffer], copy=False)

    async def encode(self, request: Encode, frames: list[bytes]) -> list[tuple[Result, torch.Tensor]]:
        """Load, preprocess and run one request.

        Raises:
            Exception: Whatever the libraries raise about the media.
        """
        modality = request.items[0].modality
        if modality not in ("image", "video") or any(item.modality != modality for item in request.items):
            raise ValueError("a request has items of one modality, image or video")
        async with self.lock:
            started = perf_counter()
            prepared, loaded = await (self.images if modality == "image" else self.videos)(request, frames)
            ready = perf_counter()
            # On the event loop's thread, as the release does: nothing else is served meanwhile.
            rows = [each for part in prepared for each in self.model.forward(modality, part)]
            done = perf_counter()
        stages = {
            "load": (loaded - started) * 1e3,
            "preprocess": (ready - loaded) * 1e3,
            "forward": (done - ready) * 1e3,
        }
        metas = [meta for part in prepared for meta in part.metas]
        return [
            (_result(request.id, index, each, stages, meta), each)
            for index, (each, meta) in enumerate(zip(rows, metas, strict=True))
        ]

    async def images(self, request: Encode, frames: list[bytes]) -> tuple[list[Prepared], float]:
        """All images of a request: loaded side by side, preprocessed together."""
        loop = asyncio.get_running_loop()
        pictures = await asyncio.gather(
            *(loop.run_in_executor(self.loaders, load_picture, item, frames) for item in request.items)
        )
        loaded = perf_counter()
        return [await loop.run_in_executor(self.preprocessors, self.model.prepare_images, pictures)], loaded

    async def videos(self, request: Encode, frames: list[bytes]) -> tuple[list[Prepared], float]:
        """The videos of a request, each decoded and preprocessed in a thread."""
        loop = asyncio.get_running_loop()
        files = await asyncio.gather(
            *(loop.run_in_executor(self.loaders, load_bytes, item, frames) for item in request.items)
        )
        loaded = perf_counter()
        work = (
            loop.run_in_executor(self.preprocessors, partial(self.model.prepare_video, data, item.sampling))
            for data, item in zip(files, request.items, strict=True)
        )
        return list(await asyncio.gather(*work)), loaded

    def welcome(self) -> Welcome:
        """What is served."""
        return Welcome(
            version=VERSION,
            server="baseline: today's way",
            replica="today-0",
            model=self.model.name,
            family="",
            fingerprint="",
            modalities=["image", "video"],
            dim=self.model.dim,
            dtype=str(self.model.dtype).removeprefix("torch."),
            max_item_bytes=sys.maxsize,
            max_pending_patches=sys.maxsize,
            ready=True,
        )


def _result(request: str, index: int, rows: torch.Tensor, stages: dict[str, float], meta: Meta) -> Result:
    tensor = Tensor(frame=0, dtype=str(rows.dtype).removeprefix("torch."), shape=list(rows.shape))
    return Result(id=request, index=index, status=Status.OK, tensor=tensor, meta=meta, stage_ms=stages)


async def run(model: Model, bind: str, *, dispatch_lock: bool) -> None:
    """Serve until SIGTERM or SIGINT."""
    context = zmq.asyncio.Context()
    socket = context.socket(zmq.ROUTER)
    socket.bind(bind)
    server = asyncio.create_task(
        Today(model, socket, asyncio.Lock() if dispatch_lock else contextlib.nullcontext()).serve()
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, server.cancel)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await server
    finally:
        context.destroy(linger=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="Hugging Face model directory")
    parser.add_argument("--bind", required=True, help="tcp://127.0.0.1:PORT")
    parser.add_argument("--dtype", default="auto", help="auto, float32, bfloat16 or float16")
    parser.add_argument("--dispatch-lock", action="store_true", help="one request at a time, as SGLang 0.5.23 does")
    arguments = parser.parse_args()
    asyncio.run(run(Model(arguments.model, arguments.dtype), arguments.bind, dispatch_lock=arguments.dispatch_lock))


if __name__ == "__main__":
    main()
