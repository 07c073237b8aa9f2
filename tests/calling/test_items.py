"""Items from bytes, files and URLs; what cannot be one says what to give."""

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fleet_client
from fleet_client import AsyncClient, Invalid, Media, Sampling, audio, image, media, video
from fleet_client.addresses import normalise


def test_items_say_what_they_are() -> None:
    assert image(b"x") == Media("image", b"x")
    assert audio(Path("a.wav")) == Media("audio", Path("a.wav"))
    assert video("https://example.com/a.mp4", fps=2).sampling == Sampling(fps=2)
    assert video(b"x", frames=8).sampling == Sampling(frames=8)
    assert video(b"x").sampling is None


def test_their_media_do_not_show() -> None:
    assert "secret" not in repr(image("https://example.com/?key=secret"))


@pytest.mark.parametrize("source", ["photo.jpg", "/tmp/photo.jpg", "ftp://host/x", "C:\\photo.jpg", ""])
def test_a_string_that_is_no_url_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match=r"pathlib\.Path"):
        image(source)


def test_a_long_data_uri_is_refused() -> None:
    with pytest.raises(ValueError, match="give the content as bytes"):
        image("data:image/png;base64," + "A" * (1 << 20))


def test_other_types_are_refused() -> None:
    with pytest.raises(TypeError, match="not int"):
        image(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="contiguous"):
        image(memoryview(b"abcdef")[::2])


@pytest.mark.parametrize(
    "sampling", [{"fps": 1.0, "frames": 2}, {"fps": 0.0}, {"fps": float("nan")}, {"fps": float("inf")}, {"frames": 0}]
)
def test_senseless_sampling_is_refused(sampling: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"fps|frames"):
        video(b"x", **sampling)  # type: ignore[arg-type]


def test_numbers_of_numpy_and_others_are_sampling_too() -> None:
    assert video(b"x", frames=np.int64(4)).sampling == Sampling(frames=4)
    assert video(b"x", fps=np.float32(2)).sampling == Sampling(fps=2.0)
    assert video(b"x", fps=Fraction(3, 2)).sampling == Sampling(fps=1.5)  # type: ignore[arg-type]
    assert type(video(b"x", frames=np.int64(4)).sampling.frames) is int  # type: ignore[union-attr]


@pytest.mark.parametrize("frames", [2.5, True, "4"])
def test_frames_that_are_no_whole_number_are_refused(frames: int) -> None:
    with pytest.raises(TypeError):
        video(b"x", frames=frames)


def test_more_frames_than_can_be_sent_are_refused() -> None:
    with pytest.raises(ValueError, match="frames"):
        video(b"x", frames=2**70)


def test_an_url_that_is_no_text_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogate"):
        image("http://a\ud800b/")


def test_a_file_that_became_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")
    with pytest.raises(Invalid, match="not a regular file"):
        media.read(tmp_path / "a")


def test_sizes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "empty").touch()
    assert media.size(image(b"123")) == 3
    assert media.size(image(memoryview(bytearray(12)).cast("I"))) == 12
    assert media.size(image(tmp_path / "a")) == 5
    assert media.size(image("https://example.com/x")) == 0
    for source, text in (
        (tmp_path / "none", "no such file"),
        (tmp_path, "not a regular file"),
        (tmp_path / "empty", "0 bytes"),
        (b"", "0 bytes"),
    ):
        with pytest.raises(Invalid, match=text):
            media.size(image(source))


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("tcp://host:5570", "tcp://host:5570"),
        ("host:5570", "tcp://host:5570"),
        (" 10.0.0.1:1 ", "tcp://10.0.0.1:1"),
        ("[::1]:5570", "tcp://[::1]:5570"),
        ("[fe80::1%eth0]:5570", "tcp://[fe80::1%eth0]:5570"),
        ("encodeur-été:5570", "tcp://encodeur-été:5570"),
        ("ipc:///tmp/x", "ipc:///tmp/x"),
        ("encoder-0.encoder.default.svc:5570", "tcp://encoder-0.encoder.default.svc:5570"),
        ("first.fleet.svc.cluster.local.:5570", "tcp://first.fleet.svc.cluster.local.:5570"),
    ],
)
def test_addresses(written: str, address: str) -> None:
    assert normalise(written) == address


@pytest.mark.parametrize(
    "written",
    [
        *(
            "",
            "host",
            "host:",
            ":5570",
            "http://host:5570",
            "host:0",
            "host:65536",
            "::1:5570",
            "tcp://h/x:5",
            "ipc://",
        ),
        *("host:" + "1" * 5000, "host:\u0661", "host:+1", "host:1_0", "host:5570\0", "ipc:///tmp/x\0y"),
        *("a b:5570", "a\tb:5570", "a\u00a0b:5570", "a\nb:5570", "a\0b:5570", "a\x7fb:5570", "a\x85b:5570"),
        *("tcp://user@host:5570", "tcp://user:word@host:5570", "[::1%a b]:5570"),
        *("[host]:5570", "[10.0.0.1]:5570", "[]:5570", "[::1:5570", "::1]:5570", "[[::1]]:5570", "[:5570"),
    ],
    ids=lambda written: ascii(written[:20]),
)
def test_what_is_no_address_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="tcp://HOST:5570"):
        normalise(written)


@pytest.mark.parametrize("written", [None, b"host:5570", 5570, ["host:5570"]])
def test_who_gives_no_string_is_told_what_to_give(written: Any) -> None:
    with pytest.raises(TypeError, match=rf"'tcp://127\.0\.0\.1:5570', not {type(written).__name__}$"):
        AsyncClient([written])


def test_public_names() -> None:
    """Adding one is a promise; losing one breaks somebody's program."""
    assert sorted(fleet_client.__all__) == [
        "AsyncClient",
        "Busy",
        "Cancelled",
        "Client",
        "ClientClosed",
        "Draining",
        "EncodeError",
        "Encoding",
        "Expired",
        "Incompatible",
        "Internal",
        "Invalid",
        "Lost",
        "Media",
        "MediaUnreachable",
        "Meta",
        "Refused",
        "Sampling",
        "TooLarge",
        "Unavailable",
        "Unreachable",
        "Welcome",
        "audio",
        "image",
        "video",
    ]
    assert all(hasattr(fleet_client, name) for name in fleet_client.__all__)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    from fleet_client import errors

    assert errors.__doc__ is not None
    drawn = {}
    path: list[str] = []
    for line in errors.__doc__.split("::")[1].splitlines():
        words = line.replace("│", " ").replace("├──", "   ").replace("└──", "   ")
        if words.strip() and line.startswith("    ") and words.split()[0].isidentifier():
            depth = (len(words) - len(words.lstrip()) - 4) // 4
            path[depth:] = [words.split()[0]]
            drawn[path[-1]] = path[-2] if depth else None
    real = {
        name: kind.__base__.__name__ if kind.__base__.__name__ in vars(errors) else None
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and kind.__module__ == errors.__name__ and kind.__base__
    }
    assert drawn == real
