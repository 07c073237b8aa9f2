"""What a media host's answer, or the lack of one, means for whoever sent the URL. Pure."""

import os

import aiohttp

from fleet_encoder.errors import Invalid, ItemError, MediaUnreachable, TooLarge
from fleet_encoder.sources.addresses import Reach
from fleet_encoder.sources.connecting import RefusedAddressError
from fleet_encoder.sources.inflate import CODINGS

REDIRECTS = frozenset({301, 302, 303, 307, 308})

_TEMPORARY = frozenset({408, 425, 429})
_FORBIDDEN = frozenset({401, 403, 407})


def check_status(status: int, shown: str) -> None:
    """Accept a final answer that carries the whole file.

    Raises:
        MediaUnreachable: The host cannot serve it now.
        Invalid: It never will, in this form.
    """
    if status == 200:
        return
    if status >= 500 or status in _TEMPORARY:
        raise MediaUnreachable(f"{shown}: its host answered {status}: retry later, or send the bytes")
    if status in _FORBIDDEN:
        raise Invalid(f"{shown}: its host answered {status}: the encoder has no credentials, use a signed URL")
    raise Invalid(f"{shown}: its host answered {status}: check that the URL leads to the file itself")


def check_size(size: int, limit: int, shown: str) -> None:
    """Refuse a body of `size` bytes, announced or received so far.

    Raises:
        TooLarge: It is over `limit`.
    """
    if size > limit:
        raise TooLarge(
            f"{shown}: at least {size} bytes, the pool's limit is {limit} (spec.media.maxBytes): "
            "raise it, or make the file smaller"
        )


def is_coded(coding: str, shown: str) -> bool:
    """Whether the body is compressed, in a way that can be undone.

    Raises:
        Invalid: In another way.
    """
    coding = coding.strip().lower()
    if coding in ("", "identity"):
        return False
    if coding not in CODINGS:
        raise Invalid(
            f"{shown}: its host sent it compressed, though asked not to, and not as gzip or deflate: "
            "serve it without Content-Encoding"
        )
    return True


def failure(error: aiohttp.ClientError | TimeoutError, shown: str) -> ItemError:
    """The reason why there is no complete answer. The library's own text is left out: it holds the whole URL."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return Invalid(f"{shown}: its host's TLS certificate is not valid for it: renew it, or send the bytes")
        case aiohttp.ClientSSLError():
            return MediaUnreachable(f"{shown}: no TLS connection to its host: check that it serves https on that port")
        case aiohttp.ClientConnectorDNSError():
            return MediaUnreachable(f"{shown}: the name of its host could not be resolved: check it, or retry later")
        case aiohttp.ClientConnectorError(os_error=RefusedAddressError() as refused):
            return _refusal(refused.reach, shown)
        case aiohttp.ClientConnectorError(os_error=cause):
            reason = f": {os.strerror(cause.errno)}" if cause.errno else ""
            return MediaUnreachable(f"{shown}: no connection to its host{reason}: check host and port, or retry later")
        case aiohttp.InvalidURL():
            return Invalid(f"{shown}: cannot be asked for: check the URL's host")
        case TimeoutError():
            return MediaUnreachable(f"{shown}: its host is too slow or does not answer: retry later, or send the bytes")
        case aiohttp.ClientPayloadError() | aiohttp.ClientConnectionError():
            return MediaUnreachable(f"{shown}: its host closed the connection before the end: retry later")
        case _:
            return MediaUnreachable(f"{shown}: its host did not answer in HTTP: check that the port is a web server's")


def _refusal(reach: Reach, shown: str) -> Invalid:
    if reach is Reach.PRIVATE:
        return Invalid(
            f"{shown}: its host is on a private or loopback network: set spec.media.allowPrivateNetworks to true, "
            "or send the bytes"
        )
    return Invalid(
        f"{shown}: its host is at a link-local, cloud metadata or reserved address, which is never fetched from: "
        "send the bytes"
    )
