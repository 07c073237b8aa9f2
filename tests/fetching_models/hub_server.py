"""A hub on loopback: what huggingface_hub 2.4 asks https://huggingface.co for, of folders of this machine.

Large files lie behind a redirect to a signed address of another host, as the hub's do: loopback has two names.
"""

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE = 1 << 20
SIGNATURE = "X-Signature=do-not-log-me"
CHUNK = 64 << 10


@dataclass
class Model:
    """Commits by their hash, branches by their name. A token of `members` reads it; None: everybody does."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    gated_for: str | None = None
    private_for: str | None = None


class Hub:
    """The server, and what it was asked for.

    Attributes:
        models: By name.
        asked: "METHOD file" or "METHOD path of the API", in order.
        broken: File -> bytes after which its next transfer breaks off.
        held: File -> bytes after which its transfers wait for `let_go`.
        failing: Start of a path -> status that it is answered with.
    """

    def __init__(self) -> None:
        self.models: dict[str, Model] = {}
        self.asked: list[str] = []
        self.broken: dict[str, int] = {}
        self.held: dict[str, int] = {}
        self.holding = threading.Event()
        self.let_go = threading.Event()
        self.failing: dict[str, int] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"hub": self}))
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self.storage = f"http://localhost:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def publish(self, name: str, folder: Path, branch: str = "main") -> str:
        """The files of a folder as a commit."""
        files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        commit = hashlib.sha1(b"".join(path.encode() + files[path] for path in sorted(files))).hexdigest()
        model = self.models.setdefault(name, Model())
        model.commits[commit] = files
        model.branches[branch] = commit
        return commit

    def transfers(self, file: str) -> int:
        """How often the content of a file was asked for."""
        return self.asked.count(f"GET {file}")

    @property
    def files_asked(self) -> set[str]:
        """All files whose content was asked for."""
        return {each.removeprefix("GET ") for each in self.asked if each.startswith("GET ") and "/" not in each}

    def close(self) -> None:
        """Answer nobody any more."""
        self.let_go.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        failing = [status for start, status in self.hub.failing.items() if path.startswith(start)]
        if failing:
            self._refuse(failing[0], "", "something is wrong here")
        elif path.startswith("api/models/"):
            self.hub.asked.append(f"{self.command} {path}")
            self._api(path.removeprefix("api/models/"))
        elif path.startswith("storage/"):
            self._content(*path.removeprefix("storage/").split("/", 1))
        elif "/resolve/" in path:
            self._resolve(*path.split("/resolve/"))
        else:
            self._refuse(404, "", "no such page")

    def _model(self, name: str) -> Model | None:
        """A model that the caller may know of; where there is none, that is said."""
        model, token = self.hub.models.get(name), self._token
        if token == "revoked":
            self._refuse(401, "", "Invalid credentials in Authorization header")
        elif model is None or model.private_for not in (None, token):
            # The hub does not tell strangers which names exist.
            self._refuse(404 if token else 401, "RepoNotFound", "Repository not found")
        else:
            return model
        return None

    @property
    def _token(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ")

    def _commit(self, model: Model, revision: str) -> str | None:
        commit = model.branches.get(revision, revision)
        if commit not in model.commits:
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return None
        return commit

    def _api(self, path: str) -> None:
        parts = path.split("/")
        name = "/".join(parts[:2])
        what, revision = (parts[2], "/".join(parts[3:])) if len(parts) > 2 else ("revision", "main")
        if (model := self._model(name)) is None or (commit := self._commit(model, revision)) is None:
            return
        files = model.commits[commit]
        if what == "tree":
            self._send(200, {}, json.dumps([_entry(file, files[file]) for file in sorted(files)]).encode())
        else:
            siblings = [{"rfilename": file} for file in sorted(files)]
            self._send(200, {}, json.dumps({"id": name, "sha": commit, "siblings": siblings}).encode())

    def _resolve(self, name: str, rest: str) -> None:
        revision, file = rest.split("/", 1)
        self.hub.asked.append(f"{self.command} {file}")
        if (model := self._model(name)) is None or (commit := self._commit(model, revision)) is None:
            return
        if model.gated_for not in (None, self._token):
            self._refuse(403 if self._token else 401, "GatedRepo", f"Access to model {name} is restricted")
            return
        content = model.commits[commit].get(file)
        if content is None:
            self._refuse(404, "EntryNotFound", "Entry not found")
            return
        headers = {"X-Repo-Commit": commit, "ETag": f'"{_etag(content)}"'}
        if len(content) < LARGE:
            self._send(200, headers, content)
            return
        headers |= {"X-Linked-Etag": headers.pop("ETag"), "X-Linked-Size": str(len(content))}
        headers["Location"] = f"{self.hub.storage}/storage/{_etag(content)}/{file}?{SIGNATURE}"
        self._send(302, headers, b"")

    def _content(self, etag: str, file: str) -> None:
        """A large file, or the rest of it."""
        self.hub.asked.append(f"{self.command} {file}")
        assert SIGNATURE in self.path
        assert "authorization" not in self.headers  # the token is for the hub alone
        every = [files for model in self.hub.models.values() for files in model.commits.values()]
        (content,) = {files[file] for files in every if _etag(files.get(file, b"")) == etag}
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        headers = {"ETag": f'"{etag}"', "Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        if not start:
            del headers["Content-Range"]
        self._send(206 if start else 200, headers, content[start:], file)

    def _send(self, status: int, headers: dict[str, str], body: bytes, file: str = "") -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        hold = self.hub.held.get(file, len(body) + 1)
        broken = self.hub.broken.pop(file, len(body) + 1)
        try:
            for start in range(0, len(body), CHUNK):
                if start >= hold:
                    self.hub.holding.set()
                    self.hub.let_go.wait()
                if start >= broken:
                    self.close_connection = True
                    return
                self.wfile.write(body[start : start + CHUNK])
        except ConnectionError:
            self.close_connection = True

    def _refuse(self, status: int, code: str, message: str) -> None:
        headers = {"X-Error-Message": message, "Content-Type": "application/json"}
        if code:
            headers["X-Error-Code"] = code
        self._send(status, headers, json.dumps({"error": message}).encode())


def _etag(content: bytes) -> str:
    return (hashlib.sha256 if len(content) >= LARGE else hashlib.sha1)(content).hexdigest()


def _entry(path: str, content: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": _etag(content)}
    if len(content) >= LARGE:
        entry["lfs"] = {"oid": _etag(content), "size": len(content), "pointerSize": 134}
    return entry
