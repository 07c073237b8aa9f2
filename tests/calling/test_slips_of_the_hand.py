"""A wrong argument of `encoderfleet encode` ends in one line, before anything is sent; a full disk in one too."""

import subprocess
import sys
from pathlib import Path

import pytest

from fleet_cli.encode_sources import shown

RUN = [sys.executable, "-c", "from fleet_cli.main import main; main()"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--timeout", "nan", "FILE"], "not nan"),
        (["--timeout", "1e300", "FILE"], "not in the range"),
        (["--fps", "inf", "FILE"], "not in the range"),
        (["--frames", "9" * 22, "FILE"], "not in the range"),
        (["ftp://u:PWSECRET@x/a.png"], "ftp...: not an URL that is fetched"),
        (["gopher://x/?QUERYSECRET"], "gopher...: not an URL that is fetched"),
        (["http://[::1/a?QUERYSECRET"], "http...: not an URL that is fetched"),
        (["https://user:PWSECRET@exa\u2100mple/x.jpg"], "https...: not an URL that is fetched"),
        (["https:/user:PWSECRET@host/x.png"], "https...: not an URL that is fetched"),
        (["http:user:PWSECRET@host/x.png"], "http...: not an URL that is fetched"),
        (["//user:PWSECRET@host/x.png"], "...: not an URL that is fetched"),
        (["https;//u:PWSECRET@host/?token=QUERYSECRET"], "https...: not an URL that is fetched"),
        (["--save", "/dev/full", "FILE"], "not a regular file"),
    ],
)
def test_one_line(photos: Path, arguments: list[str], text: str) -> None:
    given = [str(photos / "coffee.png") if each == "FILE" else each for each in arguments]
    done = subprocess.run(
        [*RUN, "encode", "--endpoint", "127.0.0.1:9", *given], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert text in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert "SECRET" not in done.stdout + done.stderr


def test_a_full_disk(tmp_path: Path) -> None:
    pool = tmp_path / "pool.yaml"
    pool.write_text(
        "apiVersion: encoderfleet.io/v1alpha1\nkind: EncoderPool\nmetadata: {name: a}\nspec: {model: {path: m}}\n"
    )
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*RUN, "plan", str(pool)], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "Error: No space left on device\n"


def test_a_photo_is_not_written_over(tmp_path: Path, photos: Path) -> None:
    """As where the name of OUT was forgotten."""
    mine = tmp_path / "mine.png"
    mine.write_bytes((photos / "coffee.png").read_bytes())
    done = subprocess.run(
        [*RUN, "encode", "--endpoint", "127.0.0.1:9", "--save", str(mine), str(photos / "coffee.png")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "is not written over" in done.stderr.splitlines()[-1]
    assert mine.read_bytes() == (photos / "coffee.png").read_bytes()


@pytest.mark.parametrize("path", ["/tmp//missing.jpg", "dir//missing.jpg", "take:2.mp4"])
def test_a_path_is_not_taken_for_an_url(path: str) -> None:
    assert shown(path) == path
