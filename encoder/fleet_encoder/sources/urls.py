"""Reading and judging an URL, before anything is opened. Pure.

One parser (yarl) reads an URL for judging and for connecting, so the two cannot disagree about its host.
"""

import os
import re
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import unquote_to_bytes

from yarl import URL

from fleet_encoder.errors import Invalid

MAX_URL = 8192
"""Characters, `data:` aside."""

SHOWN_PATH = 120
"""Characters of a path that a message or log line shows."""

SCHEMES = ("http", "https", "data", "file")

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,31}):")
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,63}/[A-Za-z0-9!#$&^_.+-]{1,63}(?=[;,])")
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\\ud800-\udfff]")
_HOST = re.compile(r"(?=.{1,253}\.?$)([a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


def scheme(text: str) -> str:
    """The URL's scheme, in lower case.

    Raises:
        Invalid: It has none, or one that no encoder reads.
    """
    match = _SCHEME.match(text)
    name = match[1].lower() if match else ""
    if name not in SCHEMES:
        raise Invalid("not an URL that can be fetched: it must start with https://, http://, data: or file:///")
    return name


def redacted(text: str) -> str:
    """What messages and logs may show: scheme, host and path; of a `data:` URI its media type."""
    match = _SCHEME.match(text)
    if match and match[1].lower() == "data":
        media_type = _MEDIA_TYPE.match(text, match.end())
        return f"data:{media_type[0] if media_type else ''}"
    if len(text) > MAX_URL:
        return f"an URL of {len(text)} characters"
    try:
        url = _read(text)
        host = url.raw_host or ""
        port = f":{url.explicit_port}" if url.explicit_port is not None else ""
        path = url.raw_path if len(url.raw_path) <= SHOWN_PATH else url.raw_path[:SHOWN_PATH] + "..."
    except Invalid:
        return "an unreadable URL"
    return f"{url.scheme}://{f'[{host}]' if ':' in host else host}{port}{path}"


def http_url(text: str, allowed_domains: tuple[str, ...]) -> URL:
    """Judge an http or https URL; its address is judged later, when it is connected to.

    Args:
        text: As it was sent.
        allowed_domains: `spec.media.allowedDomains`: exact hosts, or `*.example.com` for all below example.com.
            Empty: any.

    Raises:
        Invalid: It cannot be read, carries a user name, or its host is not allowed.
    """
    url = _read(text)
    shown = redacted(text)
    if url.scheme not in ("http", "https"):
        raise Invalid(f"{shown}: not an http or https URL")
    if "@" in url.raw_authority:
        raise Invalid(f"{shown}: user names and passwords in URLs are refused: use a signed URL, or send the bytes")
    if url.port == 0:
        raise Invalid(f"{shown}: port 0 cannot be connected to: correct the URL")
    host = host_name(url.raw_host or "")
    if not host:
        raise Invalid(f"{shown}: its host cannot be read: write a host name, or an IP address in its usual form")
    if allowed_domains and not any(_matches(host, domain) for domain in allowed_domains):
        raise Invalid(f"{shown}: host {host} is not in spec.media.allowedDomains: add it there, or send the bytes")
    return url


def redirect(url: URL, location: str | None, allowed_domains: tuple[str, ...]) -> URL:
    """Where an answer of `url` sends us, judged as if it had been asked for.

    Raises:
        Invalid: It may not be followed. From https to http is refused too: whoever sits on the way could then
            replace what the sender wanted protected.
    """
    shown = redacted(str(url))
    if not location:
        raise Invalid(f"{shown}: redirects to nowhere: correct the URL")
    target = http_url(str(url.join(_read(location, relative=True))), allowed_domains)
    if url.scheme == "https" and target.scheme == "http":
        raise Invalid(f"{shown}: redirects from https to http, which is refused: send the https URL of the file itself")
    return target


def file_path(text: str) -> str:
    """The absolute path that a `file:` URL names.

    Raises:
        Invalid: It names another host, or no absolute path.
    """
    url = _read(text)
    if "?" in text or "#" in text:
        raise Invalid("a file: URL has no query and no fragment: write ? as %3F and # as %23")
    if (url.raw_host or "") not in ("", "localhost") or not url.raw_path.startswith("/"):
        raise Invalid("a file: URL must name an absolute path of this encoder: file:///path/to/file")
    path = os.fsdecode(unquote_to_bytes(url.raw_path))
    if "\0" in path:
        raise Invalid("a file: URL must not contain %00")
    return path


def _read(text: str, *, relative: bool = False) -> URL:
    """Parse without rewriting: the signature of a presigned URL covers its exact text."""
    if len(text) > MAX_URL:
        raise Invalid(f"an URL of {len(text)} characters, {MAX_URL} are read: send the bytes")
    if _UNSAFE.search(text):
        raise Invalid("an URL must not contain spaces, control characters or backslashes: percent-encode them")
    try:
        url = URL(text, encoded=text.isascii())
        _ = url.explicit_port, url.raw_host  # read only now, and raise then
    except ValueError:
        raise Invalid("the URL cannot be read: check its host and port") from None
    if not relative and not url.scheme:
        raise Invalid("the URL has no scheme: start it with https://")
    return url


def host_name(raw: str) -> str:
    """The host as it is compared: lower case, no final dot; IP addresses in their one usual form; "" if unreadable."""
    try:
        if ":" in raw:
            return "" if "%" in raw else str(IPv6Address(raw))
        name = raw.lower()
        if not _HOST.fullmatch(name):
            return ""
        name = name.removesuffix(".")
        # 127.1, 0x7f.0.0.1, 2130706433: some resolvers take these for addresses.
        return str(IPv4Address(name)) if _NUMBER.fullmatch(name.rsplit(".", 1)[-1]) else name
    except ValueError:
        return ""


def _matches(host: str, domain: str) -> bool:
    wildcard = domain.startswith("*.")
    try:
        wanted = host_name(URL.build(scheme="http", host=domain.removeprefix("*.").strip("[]")).raw_host or "")
    except ValueError:
        return False
    return bool(wanted) and (host.endswith("." + wanted) if wildcard else host == wanted)
