"""What only a process of its own shows: without torchcodec, without noise, without reaching out."""

import http.server
import json
import os
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from decoding.digests import digest
from fleet_encoder.errors import Invalid
from fleet_encoder.media.audio import probe_audio
from fleet_encoder.media.video import BACKENDS, probe_video

Film = Callable[[str], Path]

SCRIPT = """
import json, sys
sys.modules["torchcodec"] = None
from pathlib import Path
from decoding.digests import digest
print(json.dumps([digest(kind, Path(path)) for kind, path in json.loads(sys.argv[1])]))
"""


def without_torchcodec(files: list[tuple[str, Path]]) -> list[tuple[str, str]]:
    """What a process makes of the files that has no torchcodec, and takes every warning for an error."""
    listed = json.dumps([(kind, str(path)) for kind, path in files])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, listed],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert done.stderr == ""
    return [(value, decoder) for value, decoder in json.loads(done.stdout)]


def odd_files(film: Film, photos: Path, speech: Path) -> dict[str, tuple[str, bytes]]:
    """Files that libraries have something to say about."""
    png, jpeg = (photos / "coffee.png").read_bytes(), (photos / "rocket.jpg").read_bytes()
    body = b"iCCPsRGB\0\0" + zlib.compress(bytes(200))
    profile = (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    exif = b"\xff\xe1\x00\x30Exif\0\0MM\0*\xff\xff\xff\xff" + b"\xff" * 32
    mp4, ts = film("h264.mp4").read_bytes(), film("h264.ts").read_bytes()
    return {
        "profile.png": ("image", png[:33] + profile + png[33:]),
        "exif.jpg": ("image", jpeg[:2] + exif + jpeg[2:]),
        "stray.jpg": ("image", jpeg[:9000] + b"\xff\x00\xff\x01" + jpeg[9004:]),
        "cut.jpg": ("image", jpeg[:9000]),
        "cut.png": ("image", png[:9000]),
        "cut.mkv": ("video", film("h264.mkv").read_bytes()[:-999]),
        "hole.ts": ("video", ts.replace(b"\x47\x01", b"\0\0", 7)),
        "hole.mp4": ("video", mp4[:9000] + bytes(2000) + mp4[11000:]),
        "cut.wav": ("audio", (speech / "Noise.wav").read_bytes()[:3000]),
        "text": ("audio", b"no sound at all" * 99),
    }


def test_without_torchcodec_and_without_noise(
    film: Film, photos: Path, speech: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Everything is decoded the same by the other libraries. And whatever the file is like, neither FFmpeg nor libpng,
    libjpeg or Pillow says a word on stderr, with torchcodec (here) and without (there).
    """
    whole = [
        ("image", photos / "rocket.jpg"),
        ("image", photos / "coffee.png"),
        ("image", photos / "no_time_for_that_tiny.gif"),
        ("audio", speech / "Front_Center.wav"),
        ("video", film("vp9.webm")),
        ("video", film("h264_sideways.mp4")),
        ("video", film("mpeg4.mp4")),
    ]
    odd = odd_files(film, photos, speech)
    for name, (_, data) in odd.items():
        (tmp_path / name).write_bytes(data)
    files = [*whole, *((kind, tmp_path / name) for name, (kind, _) in odd.items())]
    there = without_torchcodec(files)
    here = [digest(kind, path) for kind, path in files]
    assert capfd.readouterr() == ("", "")
    assert [value for value, _ in here[: len(whole)]] == [value for value, _ in there[: len(whole)]]
    assert [decoder for _, decoder in here[3 : len(whole)]] == ["torchcodec"] * 4
    assert [decoder for _, decoder in there[3 : len(whole)]] == ["pyav"] * 4
    for results in (here, there):
        refused = {name for name, (_, decoder) in zip(odd, results[len(whole) :], strict=True) if decoder == "refused"}
        assert refused >= {"cut.jpg", "cut.png", "cut.mkv", "text"}
        assert refused.isdisjoint({"profile.png", "exif.jpg", "stray.jpg"})


@pytest.fixture
def site() -> Iterator[tuple[str, list[str]]]:
    """A web site on loopback, and the paths that were asked of it."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def test_a_playlist_opens_no_file_and_no_address(film: Film, site: tuple[str, list[str]]) -> None:
    """To FFmpeg a list of addresses is a video, too."""
    address, asked = site
    local = film("h264.ts")
    head = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n"
    playlists = [
        f"{head}{address}/secret.ts\n#EXT-X-ENDLIST\n",
        f"{head}file://{local}\n#EXT-X-ENDLIST\n",
        f"{head}{local}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile {local}\n",
        f"ffconcat version 1.0\nfile {address}/secret.ts\n",
    ]
    for playlist in playlists:
        data = playlist.encode()
        for read in (probe_video, probe_audio, *(backend.scan for backend in BACKENDS)):
            with pytest.raises(Exception, match="no|not") as caught:
                read(data)
            assert isinstance(caught.value, Invalid) or type(caught.value).__name__ == "RefusedError"
    assert asked == []
