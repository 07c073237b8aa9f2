"""What a file decodes to, in a few characters: to compare processes with each other."""

import asyncio
import hashlib
from pathlib import Path

from fleet_encoder.errors import ItemError
from fleet_encoder.media.audio import decode_audio, probe_audio
from fleet_encoder.media.image import decode_image, probe_image
from fleet_encoder.media.video import decode_video, probe_video
from fleet_encoder.slots import CpuSlots
from fleet_encoder.workers import CpuWorkers


def digest(kind: str, path: Path) -> tuple[str, str]:
    """(digest, decoder) of an image, audio or video file; (message, "refused") of one that is refused."""
    data = path.read_bytes()
    try:
        if kind == "image":
            return hashlib.sha256(decode_image(data, probe_image(data)).pixels).hexdigest(), ""
        if kind == "audio":
            sound = decode_audio(data, 16_000, probe_audio(data))
            return hashlib.sha256(sound.samples).hexdigest(), sound.decoder
        info = probe_video(data)
        workers = CpuWorkers("decode", 2, CpuSlots(2))
        film = asyncio.run(
            decode_video(data, info, range(info.frames), workers=workers, decoders=2, ffmpeg_threads=1, pin=False)
        )
        workers.close()
        return hashlib.sha256(film.frames.numpy()).hexdigest(), film.decoder
    except ItemError as error:
        return str(error), "refused"
