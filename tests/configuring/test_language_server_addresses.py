"""An address of a language server is right, or one line says what to write."""

import pytest

from fleet_encoder.wire.sglang.addresses import is_encoder_url, wrong


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:30000",
        "http://127.0.0.1:8997/",
        "https://chat.example.com:443",
        "http://chat.example.com:80",
        "http://[fd00::1]:30000",
    ],
)
def test_a_host_and_its_port(url: str) -> None:
    assert wrong(url) == ""


@pytest.mark.parametrize(
    ("url", "what", "like"),
    [
        ("127.0.0.1:30000", "no http:// in front", "http://127.0.0.1:30000"),
        ("localhost", "no http:// in front", "http://localhost:30000"),
        ("tcp://127.0.0.1:30001", "speak http, not tcp", "http://127.0.0.1:30001"),
        ("http://127.0.0.1:30001/v1", "nothing follows the port", "http://127.0.0.1:30001"),
        ("https://a.example:8443/?x=1", "nothing follows the port", "https://a.example:8443"),
        ("http://127.0.0.1", "there is no port", "http://127.0.0.1:30000, SGLang's own, or :80 "),
        ("http://127.0.0.1/v1", "there is no port", "http://127.0.0.1:30000"),
        ("https://a.example", "there is no port", "https://a.example:30000, SGLang's own, or :443 "),
        ("http://[fd00::1]", "there is no port", "http://[fd00::1]:30000"),
        ("http://a:65536", "no host and port", "http://127.0.0.1:30000"),
        ("http://a:api", "no host and port", "http://127.0.0.1:30000"),
        ("http://a:0", "no host and port", "http://127.0.0.1:30000"),
        ("http://[::1", "no host and port", "http://127.0.0.1:30000"),
        ("http:///v1", "no host and port", "http://127.0.0.1:30000"),
        ("", "no host and port", "http://127.0.0.1:30000"),
    ],
)
def test_what_is_none_is_one_line_that_says_what_to_write(url: str, what: str, like: str) -> None:
    line = wrong(url)
    assert what in line
    assert f"write {like}" in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("url", "fits"),
    [
        ("http://10.0.0.8:30002", True),
        ("https://encoder.example.com/", True),
        ("http://10.0.0.8:30002/encode", False),
        ("10.0.0.8:30002", False),
        ("ftp://10.0.0.8", False),
        ("http://[::1", False),
    ],
)
def test_an_encoders_own(url: str, fits: bool) -> None:
    assert is_encoder_url(url) is fits
