"""What the API server answered in place of a result."""

import json
from typing import Any


class NoClusterError(Exception):
    """There is neither a service account nor a usable kubeconfig; the message says what is wrong."""


_OF_OURS = "failed to create typed patch object"
"""Said with a 500 of what was applied and is wrong in itself, such as two volumes of one name."""


class ApiError(Exception):
    """A request failed. Its text is the server's own message.

    Attributes:
        code: HTTP status; 0 where there was no answer.
        reason: Kubernetes' word for it, such as `Forbidden`.
        what: Verb and object, such as `patch Deployment vision-any`.
        retry_after: Seconds that the server asks to wait, or None.
    """

    def __init__(self, code: int, reason: str, message: str, what: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.what = what
        self.retry_after = retry_after

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed later without anybody changing anything."""
        if _OF_OURS in str(self):
            return False
        return self.code in (0, 408, 409, 429) or self.code >= 500


def api_error(code: int, body: Any, what: str, retry_after: str | None = None) -> ApiError:
    """Of an answer: its Status object where it has one."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")
    reason, message = "", text.strip()
    try:
        status = json.loads(text)
        reason, message = status.get("reason") or "", status.get("message") or message
    except (TypeError, ValueError, AttributeError):
        pass
    seconds = float(retry_after) if retry_after and retry_after.isdecimal() else None
    return ApiError(code, reason or f"HTTP {code}", message[:2000], what, seconds)
