"""What an argument of `encoderfleet encode` is, by its name."""

from pathlib import Path

import pytest

from fleet_cli.encode_sources import guess, shown, understand
from fleet_client.protocol import Modality, Sampling


@pytest.mark.parametrize(
    ("name", "modality"),
    [
        ("a.jpg", "image"),
        ("A.JPEG", "image"),
        ("a.webp", "image"),
        ("a.avif", "image"),
        ("a.gif", "image"),
        ("dir.wav/a.png", "image"),
        ("a.mp4", "video"),
        ("a.mkv", "video"),
        ("a.webm", "video"),
        ("a.mov", "video"),
        ("a.wav", "audio"),
        ("a.flac", "audio"),
        ("a.m4a", "audio"),
        ("a.opus", "audio"),
        ("https://example.com/a.mp4?x=b.jpg", "video"),
        ("https://example.com/", None),
        ("data:image/png;base64,AAAA", "image"),
        ("data:,AAAA", None),
        ("a", None),
        ("a.txt", None),
        ("a.jpg.gz", None),
    ],
)
def test_extensions_tell(name: str, modality: Modality | None) -> None:
    assert guess(name) == modality


def test_a_modality_that_is_said_beats_the_extension() -> None:
    source = understand("a.gif", "video", 2.0, None)
    assert source.modality == "video"
    assert source.media.source == Path("a.gif")
    assert source.media.sampling == Sampling(fps=2.0)


def test_sampling_is_for_videos_alone() -> None:
    assert understand("a.jpg", None, None, 4).media.sampling is None


def test_the_unknown_names_the_option() -> None:
    with pytest.raises(ValueError, match="--modality"):
        understand("https://user:pw@example.com/clip?token=1", None, None, None)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("photo.jpg", "photo.jpg"),
        ("https://user:pw@example.com:8443/a.jpg?token=1#x", "https://example.com:8443/a.jpg"),
        ("data:image/png;base64,AAAA", "data:image/png (26 characters)"),
        ("file:///media/a.jpg", "file:///media/a.jpg"),
    ],
)
def test_names_hold_no_secrets(text: str, name: str) -> None:
    assert shown(text) == name


def test_a_data_uri_may_be_longer_than_a_files_name() -> None:
    text = "data:image/png;base64," + "A" * 100_000
    source = understand(text, None, None, None)
    assert (source.modality, source.media.source, len(source.name) < 50) == ("image", text, True)
