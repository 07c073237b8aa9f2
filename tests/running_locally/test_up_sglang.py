"""`encoderfleet up --sglang`: a port more for each replica, the flags for a language server, and who is told."""

import re
import socket
from pathlib import Path

import pytest
from tests.cluster import ports
from tests.running_locally.running_up import Up, pool_with_model, wait_until

FLAGS = (
    r"--encoder-urls http://127\.0\.0\.1:(\d+) http://127\.0\.0\.1:(\d+) --encoder-transfer-backend zmq_to_tokenizer"
)


def test_the_line_to_paste_is_in_one_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    with Up(pool_with_model(tmp_path), "--sglang") as up:
        wait_until(lambda: any(line.startswith("Stop:") for line in up.out))
        (line,) = [each for each in up.out if each.startswith("SGLang:")]
        found = re.fullmatch("SGLang: " + FLAGS, line)
        assert found, line
        assert len({*map(int, found.groups())}) == 2
        up.ctrl_c()
        assert up.end() == 0


def test_programs_and_replicas_are_told_the_same(tmp_path: Path) -> None:
    first = ports.in_a_row(2)
    register = ("--register", "http://127.0.0.1:9", "--register", "http://localhost:8997")
    with Up(pool_with_model(tmp_path), "-o", "json", "--sglang", "--sglang-port", str(first), *register) as up:
        ready = up.event("ready")
        urls = [f"http://127.0.0.1:{first + number}" for number in range(2)]
        assert [each["sglang"] for each in ready["replicas"]] == urls
        assert re.fullmatch(FLAGS, ready["sglang_flags"])
        for replica, url in zip(ready["replicas"], urls, strict=True):
            assert replica["env"]["ENCODERFLEET_SGLANG_HTTP"] == url.removeprefix("http://")
            assert replica["env"]["ENCODERFLEET_ADVERTISE"] == url
            assert replica["env"]["ENCODERFLEET_REGISTER"] == "http://127.0.0.1:9,http://localhost:8997"


def test_without_it_there_is_none(tmp_path: Path) -> None:
    with Up(pool_with_model(tmp_path, replicas=1), "-o", "json") as up:
        ready = up.event("ready")
        assert (ready["sglang_flags"], ready["replicas"][0]["sglang"]) == (None, None)
        assert ready["replicas"][0]["env"]["ENCODERFLEET_SGLANG_HTTP"] == ""


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (("--register", "http://127.0.0.1:8997"), "are for --sglang: add it"),
        (("--sglang-port", "31000"), "are for --sglang: add it"),
        (("--sglang", "--register", "http://10.0.0.1:8997"), "replicas listen on 127.0.0.1"),
        (("--sglang", "--register", "http://[::1"), "--register http://[::1: that names no host and port"),
        (("--sglang", "--register", "http://127.0.0.1:99999"), "that names no host and port"),
        (("--sglang", "--register", "http://localhost:1?a=b"), "nothing follows the port"),
        (("--sglang", "--register", "http://u:secret@127.0.0.1:1"), "--register http://...@127.0.0.1:1: a user or"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path: Path, flags: tuple[str, ...], text: str) -> None:
    with Up(pool_with_model(tmp_path, replicas=1), *flags) as up:
        assert up.end() == 2
        assert text in " ".join(up.err)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("127.0.0.1:30000", "there is no http:// in front: write http://127.0.0.1:30000"),
        ("http://127.0.0.1:30000/v1", "nothing follows the port: write http://127.0.0.1:30000"),
        (
            "http://127.0.0.1",
            "there is no port: write http://127.0.0.1:30000, SGLang's own, or :80 where that is meant",
        ),
    ],
)
def test_what_is_no_address_is_found_before_anything_starts(tmp_path: Path, url: str, said: str) -> None:
    with Up(pool_with_model(tmp_path, replicas=1), "--sglang", "--register", url) as up:
        assert up.end() == 2
    assert (up.out, up.err) == ([], [f"Error: --register {url}: {said}"])


@pytest.mark.parametrize("flags", [(), ("--sglang",), ("--sglang", "--register", "http://127.0.0.1:9")])
def test_consumers_that_nobody_tells_are_named(tmp_path: Path, flags: tuple[str, ...]) -> None:
    pool = pool_with_model(tmp_path, replicas=1)
    pool.write_text(pool.read_text() + "  consumers: [{service: {name: chat}}]\n")
    with Up(pool, "-o", "json", *flags) as up:
        warnings = up.event("starting")["warnings"]
        assert sum("spec.consumers has no effect on one machine" in each for each in warnings) == (
            "--register" not in flags
        )


def test_a_busy_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with Up(pool_with_model(tmp_path, replicas=1), "--sglang", "--sglang-port", str(port)) as up:
            assert up.end() == 2
            assert f"port {port} on 127.0.0.1 is busy" in up.said
            assert "--sglang-port" in up.said
