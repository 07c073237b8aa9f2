"""A pool file -> EncoderPool, or everything that is wrong with it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fleet_operator.api.errors import PoolError, Problem, problems_of
from fleet_operator.api.pool import KIND, EncoderPool, Metadata
from fleet_operator.api.strict_yaml import YamlError, read_documents

MAX_BYTES = 1 << 20
SERVER_SET = frozenset(
    {
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "finalizers",
        "generateName",
        "generation",
        "managedFields",
        "ownerReferences",
        "resourceVersion",
        "selfLink",
        "uid",
    }
)
"""Of `metadata`, and `status` beside it: what a file has that came from `kubectl get -o yaml`. Passed over."""


def load_pool(path: Path | str) -> EncoderPool:
    """Read the one EncoderPool of a YAML file.

    Documents of other kinds beside it are passed over, as a file for `kubectl apply` may have them. Relative
    `spec.model.path` and `spec.media.localRoot` are taken from the folder of the file.

    Raises:
        PoolError: The file cannot be read, or is wrong; has all problems.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise PoolError([Problem(str(path), f"is over {MAX_BYTES >> 10} KiB: that is not a pool file")])
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise PoolError([Problem(str(path), f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise PoolError([Problem(str(path), "is not UTF-8 text")]) from error
    return parse_pool(text, path.absolute().parent)


def parse_pool(text: str, folder: Path) -> EncoderPool:
    """Read the one EncoderPool of a YAML text. Pure.

    Args:
        text: One or several YAML documents.
        folder: Absolute; where relative paths start.

    Raises:
        PoolError: It is wrong; has all problems.
    """
    try:
        documents = [document for document in read_documents(text) if document is not None]
    except YamlError as error:
        raise PoolError([Problem(error.place, error.message)]) from error
    return _resolve(read_pool(_the_pool(documents)), folder)


def read_pool(document: Any) -> EncoderPool:
    """The EncoderPool of a document of a file. Pure.

    Raises:
        PoolError: It is wrong; has all problems.
    """
    return _validated(_without_server_set(document))


def read_stored(body: Mapping[str, Any]) -> EncoderPool:
    """The EncoderPool of an object of the API server. Pure.

    Whatever `metadata` has beside what is asked of it is Kubernetes' own: here nobody can have misspelt a field.

    Raises:
        PoolError: It is wrong; has all problems.
    """
    metadata = {key: value for key, value in body["metadata"].items() if key in Metadata.model_fields}
    return _validated({**_without_server_set(body), "metadata": metadata})


def _validated(document: Any) -> EncoderPool:
    try:
        return EncoderPool.model_validate(document)
    except ValidationError as error:
        raise PoolError(problems_of(error, EncoderPool)) from error


def _the_pool(documents: list[Any]) -> Any:
    """The EncoderPool among the documents; a document that is alone is judged whatever its kind."""
    if len(documents) == 1:
        return documents[0]
    pools = [document for document in documents if isinstance(document, Mapping) and document.get("kind") == KIND]
    if len(pools) == 1:
        return pools[0]
    found = f"{len(pools)} EncoderPools" if pools else f"no document of kind {KIND}" if documents else "nothing"
    raise PoolError([Problem("the file", f"has {found}: exactly one EncoderPool is expected")])


def _without_server_set(document: Any) -> Any:
    if not isinstance(document, Mapping):
        return document
    kept = {key: value for key, value in document.items() if key != "status"}
    metadata = kept.get("metadata")
    if isinstance(metadata, Mapping):
        kept["metadata"] = {key: value for key, value in metadata.items() if key not in SERVER_SET}
    return kept


def _resolve(pool: EncoderPool, folder: Path) -> EncoderPool:
    """The pool with absolute paths."""

    def absolute(path: str | None) -> str | None:
        return None if path is None else os.path.normpath(folder / path)

    spec = pool.spec
    model = spec.model.model_copy(update={"path": absolute(spec.model.path)})
    media = spec.media.model_copy(update={"local_root": absolute(spec.media.local_root)})
    return pool.model_copy(update={"spec": spec.model_copy(update={"model": model, "media": media})})
