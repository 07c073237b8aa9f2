"""Why a language server could not be asked or told, in words. Pure."""

import aiohttp

_OF_A_PROXY = (502, 503, 504)
"""What stands before it answers for one that does not listen."""


def silent(error: Exception) -> bool:
    """Whether nobody answered: it may be about to start, or be gone."""
    if isinstance(error, aiohttp.ClientResponseError):
        return error.status in _OF_A_PROXY
    return isinstance(error, aiohttp.ClientConnectionError | OSError)


def reason(error: Exception) -> str:
    """One line; aiohttp's own have words about TLS in them, where there is none."""
    if isinstance(error, aiohttp.ClientConnectorError):
        refused = isinstance(error.os_error, ConnectionRefusedError)
        how = "refuses connections" if refused else f"cannot be reached ({error.os_error.strerror or error.os_error})"
        return f"{error.host}:{error.port} {how}"
    if isinstance(error, aiohttp.ClientResponseError):
        return f"{error.request_info.real_url} answers HTTP {error.status}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return f"{type(error).__name__}: {error}"
