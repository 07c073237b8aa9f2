"""What went wrong with the hub, in one line that says what to do. Pure."""

import errno
from dataclasses import dataclass

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_TOKEN = "spec.model.tokenSecretRef (HF_TOKEN)"


@dataclass(frozen=True, slots=True)
class Hub:
    """What was asked.

    Attributes:
        address: Of the hub.
        cache: Folder that fetched files are kept in.
        has_token: There is an access token, right or wrong.
    """

    address: str
    cache: str
    has_token: bool


def explain(error: Exception, name: str, revision: str, hub: Hub) -> str:
    """The line for `error`, of `huggingface_hub` or of what is below it."""
    from huggingface_hub import errors

    # "Not in the cache" is never the whole truth: behind it is why the hub was not asked.
    while isinstance(error, errors.LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    match error:
        case errors.GatedRepoError() if hub.has_token:
            return f"{name} is gated, and the account of the token has no access: ask for it at {hub.address}/{name}"
        case errors.GatedRepoError():
            return f"{name} is gated: accept its terms at {hub.address}/{name}, then set {_TOKEN} to a token of yours"
        case errors.RepositoryNotFoundError() if hub.has_token:
            return f"{_nowhere(name, hub)} that the token may see: check spec.model.name, and {_TOKEN}"
        case errors.RepositoryNotFoundError():
            return f"{_nowhere(name, hub)}, or it is private: check spec.model.name, or set {_TOKEN}"
        case errors.RevisionNotFoundError():
            return f"{name} has no branch, tag or commit {revision}: check spec.model.revision"
        case errors.HFValidationError():
            return f"{name} can be no name of the hub ({first_line(error)}): check spec.model.name"
        case errors.OfflineModeIsEnabled():
            return (
                f"{name} at {revision} is not, or not whole, in {hub.cache}, and HF_HUB_OFFLINE forbids to fetch it: "
                "unset that once, or mount a cache that has it"
            )
        case errors.HfHubHTTPError():
            return _refused(error.response.status_code, name, hub)
    if getattr(error, "errno", None) in _FULL or "No space left" in str(error):
        return (
            f"{hub.cache} has no room for the weights of {name}: make spec.model.cache.size, or the volume of "
            "spec.model.cache.claimName, larger, or set HF_HOME"
        )
    if isinstance(error, OSError) and error.filename is not None:
        return f"{hub.cache} cannot be used ({first_line(error)}): check the volume and its rights, or set HF_HOME"
    return (
        f"{name} cannot be fetched from {hub.address} ({first_line(error)}): check network, proxy and HF_ENDPOINT, "
        "or give a directory (spec.model.path, spec.model.pvc)"
    )


def first_line(error: Exception) -> str:
    """Of its message; the rest are links and advice of the library."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]


def _nowhere(name: str, hub: Hub) -> str:
    return f"there is no directory {name} here, and {hub.address} has no model {name}"


def _refused(status: int, name: str, hub: Hub) -> str:
    if status in (401, 403):
        what = "renew it or its rights" if hub.has_token else "set it"
        return f"{hub.address} refuses access to {name} (HTTP {status}): {what}, {_TOKEN}"
    return f"{hub.address} answers HTTP {status} for {name}: try again later, or give a directory (spec.model.path)"
