"""Settings of SGLang's wire: what cannot be is one clear line; of its own variables none is ignored in silence."""

import re
from pathlib import Path

import pytest

from configuring.test_command import run
from conftest import StartEncoder
from fleet_encoder.wire.sglang import environment


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--register", "http://a:8997"], "--sglang-http"),
        (
            ["--sglang-http", "127.0.0.1:0", "--register", "a:8997"],
            "--register a:8997: there is no http:// in front: write http://a:8997",
        ),
        (
            ["--sglang-http", "127.0.0.1:0", "--register", "http://a:8997/x"],
            "--register http://a:8997/x: nothing follows the port: write http://a:8997",
        ),
        (["--sglang-http", "127.0.0.1:0", "--register", "http://[::1"], "--register http://[::1: that names no host"),
        (["--sglang-http", "127.0.0.1:0", "--register", "http://a:99999"], "http://a:99999: that names no host"),
        (["--sglang-http", "127.0.0.1:0", "--register", "http://a:1?b=c"], "http://a:1?b=c: nothing follows the port"),
        (["--sglang-http", "127.0.0.1:0", "--register", "http://a b:1"], "http://a b:1: that names no host"),
        (["--sglang-http", "127.0.0.1:0", "--register", "http://u:pw@a:1"], "--register http://...@a:1: a user or"),
        (["--sglang-http", "127.0.0.1:0", "--advertise", "http://u:pw@a:1"], "--advertise: 'http://...@a:1' is not"),
        (["--sglang-http", "127.0.0.1:0", "--advertise", "ftp://a"], "--advertise: 'ftp://a'"),
        (["--sglang-http", "127.0.0.1"], "--sglang-http: '127.0.0.1' is not host:port"),
        (["--sglang-http", "127.0.0.1:http"], "--sglang-http: '127.0.0.1:http' is not host:port"),
        (["--sglang-http", "127.0.0.1:70000"], "--sglang-http: '127.0.0.1:70000' is not host:port"),
        (["--request-seconds", "0"], "--request-seconds"),
        (["--send-seconds", "-1"], "--send-seconds"),
    ],
)
def test_wrong_flags(qwen2_5_vl: Path, flags: list[str], text: str) -> None:
    code, line = run("--model", str(qwen2_5_vl), *flags)
    assert code == 2
    assert text in line


def test_wrong_pixels(qwen2_5_vl: Path) -> None:
    free = ("--http", "127.0.0.1:0", "--bind", "tcp://127.0.0.1:0")
    code, line = run("--model", str(qwen2_5_vl), "--sglang-http", "127.0.0.1:0", *free, VIDEO_MAX_PIXELS="many")
    assert code == 2
    assert "VIDEO_MAX_PIXELS is 'many'" in line


def test_a_busy_port_is_named(start_encoder: StartEncoder, qwen2_5_vl: Path) -> None:
    first = start_encoder(qwen2_5_vl, "--sglang-http", "127.0.0.1:0")
    first.wait_until_bound()
    taken = re.search(r"sglang=http://(\S+)", re.sub(r"\x1b\[\d*m", "", first.log))
    assert taken
    free = ("--http", "127.0.0.1:0", "--bind", "tcp://127.0.0.1:0")
    code, line = run("--model", str(qwen2_5_vl), "--sglang-http", taken[1], *free)
    assert code == 2
    assert "in use" in line
    assert taken[1] in line
    assert "--sglang-http" in line


def test_what_has_no_effect_is_said() -> None:
    assert environment.warnings({}) == []
    honoured = {name: "1" for name, (fate, _) in environment.VARIABLES.items() if fate == "honoured"}
    assert environment.warnings(honoured) == []
    others = {name: "1" for name in environment.VARIABLES if name not in honoured}
    lines = environment.warnings({**others, "PATH": "/bin"})
    assert len(lines) == len(others)
    assert all(line.startswith(f"{name} has no effect here: ") for name, line in zip(others, lines, strict=True))
    assert environment.warnings(dict.fromkeys(others, "")) == []
