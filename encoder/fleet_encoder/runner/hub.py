"""A model by its name on the Hugging Face hub: what an encoder needs of it, and no more, comes into the hub's cache.

First the settings, a few small files. Then, of the weights, the files that hold tensors of the tower: of a language
model with 7B parameters that is one of five. `huggingface_hub` itself reads HF_HOME, HF_TOKEN, HF_ENDPOINT and
HF_HUB_OFFLINE; it is imported where a model is fetched, and nowhere else.
"""

import contextlib
import logging
import re
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import structlog

from fleet_encoder.errors import Invalid
from fleet_encoder.runner.hub_errors import Hub, explain, first_line

log = structlog.get_logger()

SETTINGS = ("*config.json", "model.safetensors.index.json")
"""What families read beside weights. Tokenizers are the language server's."""

ANSWER_SECONDS = 20.0
"""The hub has so long to answer the first question. Where packets are dropped, the library would wait for minutes."""

ABANDONED_SECONDS = 3600.0
"""A partial file that was not written to for so long belongs to a process that was killed."""

_NAME = re.compile(r"[A-Za-z0-9][-A-Za-z0-9._]*(/[A-Za-z0-9][-A-Za-z0-9._]*)?", re.ASCII)


def is_hub_name(text: str) -> bool:
    """Whether `text` is `organisation/model` or `model`, and no directory here is called so."""
    return _NAME.fullmatch(text) is not None and not Path(text).is_dir()


def fetch_settings(name: str, revision: str) -> Path:
    """All of a model but its weights. What is in the cache is not fetched again.

    Args:
        name: On the hub.
        revision: Branch, tag or commit; empty for the default branch.

    Returns:
        Its directory in the cache, called after the commit. `fetch_weights` adds to it.

    Raises:
        Invalid: It is neither on the hub nor in the cache; says what to do.
    """
    from huggingface_hub import snapshot_download

    with _explained(name, revision or "main"):
        trouble = _ask(name, revision)
        try:
            directory = Path(
                snapshot_download(
                    name,
                    revision=revision or None,
                    allow_patterns=list(SETTINGS),
                    ignore_patterns="*/*",
                    local_files_only=trouble is not None,
                )
            )
        except Exception as error:
            if trouble is None:
                raise
            raise trouble from error
    if trouble is not None:
        log.warning("the hub cannot be asked: what the cache has is used", reason=first_line(trouble))
    log.info("model found", model=name, revision=revision or "main", commit=directory.name)
    return directory


def fetch_weights(name: str, directory: Path, files: Sequence[str]) -> None:
    """Files of the weights, into the directory of `fetch_settings`; several processes may do so at once.

    Raises:
        Invalid: They cannot be fetched; says what to do.
    """
    from huggingface_hub import snapshot_download

    with _explained(name, directory.name):
        sizes = _sizes(name, directory.name)
        left = [size for file, size in sizes.items() if file not in files and not (directory / file).exists()]
        log.info(
            "fetching weights",
            model=name,
            files=list(files),
            megabytes=_megabytes(sizes.get(file, 0) for file in files),
            files_left_out=len(left),
            megabytes_left_out=_megabytes(left),
        )
        started = time.monotonic()
        _sweep(directory.parents[1] / "blobs")
        snapshot_download(name, revision=directory.name, allow_patterns=list(files))
        log.info("weights fetched", model=name, seconds=round(time.monotonic() - started, 1))


def _ask(name: str, revision: str) -> Exception | None:
    """Why the hub cannot be asked for the model; None where it can."""
    from huggingface_hub import HfApi

    try:
        HfApi().model_info(name, revision=revision or None, timeout=ANSWER_SECONDS)
    except Exception as error:  # of the library, of its HTTP client, of the operating system
        return error
    return None


def _sizes(name: str, commit: str) -> dict[str, int]:
    """Bytes of each file of the model, where the library has kept their list."""
    from huggingface_hub import get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    try:
        return {file.path: file.size for file in get_cached_repo_tree(name, revision=commit)}
    except CachedRepoTreeNotFoundError:
        return {}


def _megabytes(sizes: Iterable[int]) -> float:
    return round(sum(sizes) / 1e6, 1)


def _sweep(blobs: Path) -> None:
    """Remove partial files of killed processes: the library takes none of them up, and a shared volume would fill."""
    oldest = time.time() - ABANDONED_SECONDS
    for path in blobs.glob("*.incomplete"):
        with contextlib.suppress(OSError):  # another process sweeps too, or the cache is read-only
            if path.stat().st_mtime < oldest:
                path.unlink()


@contextlib.contextmanager
def _explained(name: str, revision: str) -> Iterator[None]:
    """Around calls of the library: its lines and bars are held back, its errors become one line.

    Raises:
        Invalid: In place of whatever the library raises.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    warnings.filterwarnings("ignore", module="huggingface_hub")
    for noisy in ("httpx2", "huggingface_hub"):  # they log URLs with their signatures
        logging.getLogger(noisy).setLevel(logging.ERROR)
    try:
        yield
    except Exception as error:
        hub = Hub(constants.ENDPOINT, constants.HF_HUB_CACHE, has_token=_has_token())
        raise Invalid(explain(error, name, revision, hub)) from error


def _has_token() -> bool:
    from huggingface_hub import get_token

    with contextlib.suppress(Exception):  # HF_HOME is no directory, for one
        return get_token() is not None
    return False
