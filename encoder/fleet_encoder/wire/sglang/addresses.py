"""Addresses of language servers, and of encoders for them, as people write them. Pure."""

import re
from urllib.parse import urlsplit

API_PORT = 30000
"""Where a language server of SGLang serves its API, unless its `--port` says another one."""


def wrong(url: str) -> str:
    """What is wrong with the address of a language server, and what to write; empty where nothing is.

    Its port has to be given: nobody who leaves it out means port 80, and who does mean that can write it.
    """
    has_scheme = "://" in url
    try:
        parts = urlsplit(url if has_scheme else f"//{url}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not host or port == 0 or re.search(r"\s", url):
        return f"that names no host and port: write http://127.0.0.1:{API_PORT}"
    scheme = "https" if parts.scheme == "https" else "http"
    like = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port or API_PORT}"
    if "@" in parts.netloc:  # it would be told to others, and in logs
        return f"a user or a password is no part of it: write {like}"
    if not has_scheme:
        return f"there is no http:// in front: write {like}"
    if parts.scheme != scheme:
        return f"language servers speak http, not {parts.scheme}: write {like}"
    if port is None:
        usual = 443 if scheme == "https" else 80
        return f"there is no port: write {like}, SGLang's own, or :{usual} where that is meant"
    if parts.path.strip("/") or parts.query or parts.fragment:
        return f"nothing follows the port: write {like}"
    return ""


def is_encoder_url(url: str) -> bool:
    """Whether `url` can be an encoder's for language servers, which put paths behind it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    more = parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc or re.search(r"\s", url)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0 and not more


def without_password(url: str) -> str:
    """As it may be shown."""
    return re.sub(r"//.*@", "//...@", url)
