"""Kubeconfigs as files: who one is, and which API server one asks. They carry all they need, so they can be copied."""

import base64
import json
from pathlib import Path
from typing import Any

from tests.cluster.certificates import Pair


def write(path: Path, server: str, authority: Path, who: Pair | str, namespace: str = "default") -> Path:
    """Write a kubeconfig with one user.

    Args:
        path: The file; JSON, which is YAML too.
        server: URL of the API server.
        authority: Certificate that the API server's is signed by.
        who: A client certificate, or a bearer token.
        namespace: Taken where a command names none.
    """
    user: dict[str, Any] = {"token": who}
    if isinstance(who, Pair):
        user = {"client-certificate-data": _data(who.certificate), "client-key-data": _data(who.key)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server, "certificate-authority-data": _data(authority)}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": namespace}}],
        "current-context": "x",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(config, indent=1))
    path.chmod(0o600)  # helm warns of anything wider
    return path


def _data(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
