"""Which packets a decoder can do without, in real streams, checked against FFmpeg's own account of them."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from fleet_encoder.media.references import disposable_test, h264_disposable, hevc_disposable, nal_units

Film = Callable[[str], Path]


def disposable_shares(path: Path) -> tuple[int, int]:
    """(packets that may be left out, packets)."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        test = disposable_test(stream.codec.canonical_name, stream.codec_context.extradata)
        packets = [packet for packet in container.demux(stream) if packet.size]
        return sum(test(memoryview(packet)) for packet in packets) if test else 0, len(packets)


def picture_types(path: Path) -> str:
    command = ["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "frame=pict_type", "-of", "json"]
    frames = json.loads(subprocess.run([*command, path], check=True, capture_output=True).stdout)["frames"]
    return "".join(frame["pict_type"] for frame in frames)


@pytest.mark.parametrize("name", ["h264.mp4", "h264.mkv", "h264_b_pyramid.mp4", "hevc.mp4", "hevc_layers.mp4"])
def test_only_b_frames_can_be_left_out_and_many_are(name: str, film: Film) -> None:
    disposable, packets = disposable_shares(film(name))
    assert packets / 4 < disposable <= picture_types(film(name)).count("B") < packets


@pytest.mark.parametrize("name", ["h264_intra.mp4", "h264.ts", "vp9.webm", "av1.mp4", "mpeg4.mp4"])
def test_nothing_where_all_frames_are_needed_or_packets_are_no_whole_frames(name: str, film: Film) -> None:
    assert disposable_shares(film(name))[0] == 0


def unit(*data: int, length_bytes: int = 4) -> bytes:
    return len(data).to_bytes(length_bytes, "big") + bytes(data)


def test_h264_needs_every_slice_to_be_no_reference() -> None:
    no_reference, reference, sei = unit(0x01, 9, 9), unit(0x41, 9, 9), unit(0x06, 5)
    assert h264_disposable(sei + no_reference + no_reference, 4)
    assert not h264_disposable(no_reference + reference, 4)
    assert not h264_disposable(sei, 4)
    assert not h264_disposable(unit(0x65, 1), 4)


@pytest.mark.parametrize(("kind", "layer", "expected"), [(0, 3, True), (1, 3, False), (0, 2, False), (8, 3, True)])
def test_hevc_needs_the_highest_layer(kind: int, layer: int, expected: bool) -> None:
    assert hevc_disposable(unit(kind << 1, layer, 7), 4, 3) is expected


@pytest.mark.parametrize("length_bytes", [1, 2, 4])
def test_lengths_of_every_width(length_bytes: int) -> None:
    packet = unit(0x01, 9, length_bytes=length_bytes) + unit(0x41, 9, 9, length_bytes=length_bytes)
    assert [packet[at] for at in nal_units(packet, length_bytes)] == [0x01, 0x41]


def test_lengths_that_make_no_sense_end_the_search() -> None:
    assert list(nal_units(b"\xff\xff\xff\xff\x01", 4)) == [4]
    assert list(nal_units(b"\0\0", 4)) == []


@pytest.mark.parametrize("extradata", [None, b"", b"\1", b"\0\0\0\1\x67", b"\1" * 5])
def test_a_codec_configuration_that_tells_nothing(extradata: bytes | None) -> None:
    assert disposable_test("vp9", extradata) is None
    assert disposable_test("hevc", extradata) is None
