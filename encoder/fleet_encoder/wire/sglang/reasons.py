"""Why nothing came of a request, in words. Pure."""

import aiohttp


def silent(error: Exception) -> bool:
    """Whether nobody answered: it may be about to start, or be gone."""
    return isinstance(error, aiohttp.ClientConnectionError | OSError)


def reason(error: Exception) -> str:
    """One line; aiohttp's own have words about TLS in them, where there is none."""
    if isinstance(error, aiohttp.ClientConnectorError):
        refused = isinstance(error.os_error, ConnectionRefusedError)
        how = "refuses connections" if refused else f"cannot be reached ({error.os_error.strerror or error.os_error})"
        return f"{error.host}:{error.port} {how}"
    return f"{type(error).__name__}: {error}"
