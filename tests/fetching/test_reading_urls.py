"""What an URL may look like, and what of it is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from fleet_encoder.errors import Invalid
from fleet_encoder.sources.urls import MAX_URL, file_path, http_url, redacted, redirect, scheme


@pytest.mark.parametrize(
    ("text", "expected"),
    [("https://a/b", "https"), ("HTTP://a", "http"), ("data:,x", "data"), ("File:///x", "file")],
)
def test_schemes(text: str, expected: str) -> None:
    assert scheme(text) == expected


@pytest.mark.parametrize(
    "text", ["", "a", "/etc/passwd", "ftp://a/b", "gopher://a", "://a", " https://a", "unix:/x", "http"]
)
def test_other_schemes_are_refused(text: str) -> None:
    with pytest.raises(Invalid, match="https://"):
        scheme(text)


@pytest.mark.parametrize(
    "text",
    [
        "https://example.com/a?X-Signature=a%2Bb%7E&c=d%20e",
        "http://example.com:8080/",
        "http://[2606:4700::1]/x",
        "http://8.8.8.8/x",
        "https://a_b.example-1.com./x",
        "http://xn--bcher-kva.de/",
        "https://example.com/%E4%BD%A0?é",
    ],
)
def test_good_urls(text: str) -> None:
    assert http_url(text, ()).scheme in ("http", "https")


def test_a_signed_query_stays_as_it_was_signed() -> None:
    text = "https://example.com/a%2Fb?X-Signature=a%2Bb%7E%2f&x=%41"
    assert str(http_url(text, ())) == text


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("https://user:password@example.com/a", "user names"),
        ("https://user@example.com/a", "user names"),
        ("https://@example.com/a", "user names"),
        ("https://:@example.com/a", "user names"),
        ("http:///a", "host"),
        ("http:a", "host"),
        ("http://example.com:0/", "port 0"),
        ("http://example.com:65536/", "port"),
        ("http://example.com:x/", "port"),
        ("http://[::1/", "host"),
        ("http://[fe80::1%25eth0]/", "host"),
        ("http://exa%6dple.com/", "host"),
        ("http://a..b/", "host"),
        ("http://.a/", "host"),
        ("http://" + "a" * 64 + ".com/", "host"),
        ("http://" + "a." * 130 + "com/", "host"),
        ("http://127.1/", "host"),
        ("http://2130706433/", "host"),
        ("http://0x7f000001/", "host"),
        ("http://0x7F.0.0.1/", "host"),
        ("http://0177.0.0.1/", "host"),
        ("http://127.0.0.0x1/", "host"),
        ("http://1.2.3.4.5/", "host"),
        ("http://example.com/a b", "percent-encode"),
        ("http://example.com/\r\nX: y", "percent-encode"),
        ("http://example.com\\@10.0.0.1/", "percent-encode"),
        ("http://example.com/\x00", "percent-encode"),
        ("http://example.com/\udc80", "percent-encode"),
        ("http://example.com/" + "a" * MAX_URL, "send the bytes"),
        ("ftp://example.com/", "http"),
    ],
)
def test_bad_urls(text: str, what: str) -> None:
    with pytest.raises(Invalid, match=what):
        http_url(text, ())


@pytest.mark.parametrize(
    ("host", "domains", "allowed"),
    [
        ("example.com", ("example.com",), True),
        ("EXAMPLE.com.", ("example.COM",), True),
        ("example.com", ("example.com.",), True),
        ("a.example.com", ("example.com",), False),
        ("a.example.com", ("*.example.com",), True),
        ("b.a.example.com", ("*.example.com",), True),
        ("example.com", ("*.example.com",), False),
        ("badexample.com", ("*.example.com", "example.com"), False),
        ("example.com.evil.org", ("example.com", "*.example.com"), False),
        ("xn--bcher-kva.de", ("bücher.de",), True),
        ("bücher.de", ("xn--bcher-kva.de",), True),
        ("10.0.0.1", ("10.0.0.1",), True),
        ("10.0.0.1", ("*.0.0.1",), False),
        ("[::1]", ("[::1]",), True),
        ("[0:0::1]", ("::1",), True),
        ("example.com", ("not a host",), False),
        ("example.com", ("b.org", "example.com"), True),
    ],
)
def test_allowed_domains(host: str, domains: tuple[str, ...], allowed: bool) -> None:
    if allowed:
        assert http_url(f"https://{host}/a", domains)
    else:
        with pytest.raises(Invalid, match=r"spec\.media\.allowedDomains"):
            http_url(f"https://{host}/a", domains)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:secret@example.com/a/b.png?key=secret#secret", "https://example.com/a/b.png"),
        ("http://example.com:81/a", "http://example.com:81/a"),
        ("http://[::1]:81/a?secret", "http://[::1]:81/a"),
        ("https://example.com?secret", "https://example.com/"),
        ("file:///a/b%20c?secret", "file:///a/b%20c"),
        ("data:image/png;base64,secret", "data:image/png"),
        ("DATA:,secret", "data:"),
        ("data:secret", "data:"),
        ("data:secret secret/x,secret", "data:"),
        ("https://example.com/" + "a" * 130, "https://example.com/" + "a" * 119 + "..."),
        ("https://user:" + "secret" * 2000 + "@example.com/", "an URL of 12026 characters"),
        ("https://example.com/\nsecret", "an unreadable URL"),
        ("https://[secret", "an unreadable URL"),
        ("secret", "an unreadable URL"),
    ],
)
def test_redacted(text: str, shown: str) -> None:
    assert redacted(text) == shown


@given(
    st.sampled_from(["", "http:", "http://", "https://a", "file:", "file:///", "data:", "http://[", "http://a/"]),
    st.text(st.characters(), max_size=40),
)
def test_whatever_is_sent_a_message_is_one_line_of_plain_text(start: str, rest: str) -> None:
    shown = [redacted(start + rest)]
    for judge in (scheme, file_path, lambda text: http_url(text, ("a.org",))):
        try:
            judge(start + rest)
        except Invalid as error:
            shown.append(str(error))
    assert all(each.isascii() and each.isprintable() for each in shown)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/c", "https://a.com/c"),
        ("c", "https://a.com/x/c"),
        ("?d=%2B", "https://a.com/x/b?d=%2B"),
        ("../c", "https://a.com/c"),
        ("//b.com/c", "https://b.com/c"),
        ("https://b.com:8443/c", "https://b.com:8443/c"),
    ],
)
def test_redirect_targets(location: str, target: str) -> None:
    assert str(redirect(URL("https://a.com/x/b?secret=1"), location, ())) == target


@pytest.mark.parametrize(
    ("location", "what"),
    [
        (None, "nowhere"),
        ("", "nowhere"),
        ("http://a.com/x/b", "https to http"),
        ("file:///etc/passwd", "http"),
        ("data:image/png;base64,AAAA", "http"),
        ("https://u:p@b.com/", "user names"),
        ("https://c.com/", "allowedDomains"),
        ("https://b.com\\@c.com/", "percent-encode"),
        ("//2130706433/", "host"),
    ],
)
def test_redirects_that_are_not_followed(location: str | None, what: str) -> None:
    with pytest.raises(Invalid, match=what) as caught:
        redirect(URL("https://a.com/x/b?secret=1"), location, ("a.com", "b.com"))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("file:///a/b.png", "/a/b.png"),
        ("file://localhost/a", "/a"),
        ("file:/a", "/a"),
        ("file:///a%20b%3F%23", "/a b?#"),
        ("file:///%C3%BC/ü", "/ü/ü"),
        ("file:///%FF", "/\udcff"),
    ],
)
def test_paths_of_file_urls(text: str, path: str) -> None:
    assert file_path(text) == path


@pytest.mark.parametrize("text", ["file://host/a", "file:a", "file:///a?b", "file:///a#b", "file:///a%00b", "file://"])
def test_file_urls_that_name_no_file(text: str) -> None:
    with pytest.raises(Invalid, match="file: URL"):
        file_path(text)
