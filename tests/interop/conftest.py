"""The real SGLang for tests. Each start takes a minute or two on two cores, so servers serve the whole run.

`make interop` runs these; `make test` does not (`norecursedirs` in pyproject.toml).
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.fixtures import lines_for
from tests.interop import install, model
from tests.interop.sglang_process import Encoder, LanguageServer, together

# The operator on a real API server, as tests/operating has it.
from operating.conftest import own_pools, start_operator  # noqa: F401

PYTHON = pytest.StashKey[Path | install.MissingSGLangError]()
TEST_SECONDS = 900
"""For the first test of a fixture the start of its servers counts too."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test here the time that a start takes."""
    for item in items:
        if item.path.is_relative_to(install.HERE):
            item.add_marker(pytest.mark.timeout(TEST_SECONDS), append=False)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Install SGLang where it is missing, with lines in the terminal: that may take longer than a test."""
    if (say := lines_for(session, "sglang")) is not None:
        try:
            session.config.stash[PYTHON] = install.ensure(say)
        except install.MissingSGLangError as error:
            session.config.stash[PYTHON] = error


@pytest.fixture(scope="session")
def sglang(request: pytest.FixtureRequest) -> Path:
    """SGLang's interpreter. Skips where it cannot be installed; in CI only where a wheel cannot be got."""
    python = request.config.stash[PYTHON]
    if isinstance(python, install.MissingSGLangError):
        if os.environ.get("CI") and not isinstance(python, install.UnobtainableSGLangError):
            pytest.fail(str(python), pytrace=False)
        pytest.skip(str(python))
    return python


@pytest.fixture(scope="session")
def whole_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Model directory of a small Qwen2.5-VL with everything that a language server needs."""
    return model.create(tmp_path_factory.mktemp("models") / "qwen2_5_vl_whole")


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where servers write."""
    return tmp_path_factory.mktemp("sglang")


@pytest.fixture(scope="session")
def reference(sglang: Path, whole_model: Path, logs: Path) -> Iterator[tuple[Encoder, LanguageServer]]:
    """SGLang's own encoder with SGLang's language server behind it: how it is without us. Do not break them."""
    encoder = Encoder(sglang, whole_model, logs)
    server = LanguageServer(sglang, whole_model, logs, [encoder.url])
    with together(encoder, server):
        yield encoder, server


@pytest.fixture(scope="session")
def sglang_encoder(reference: tuple[Encoder, LanguageServer]) -> Encoder:
    """SGLang's own encoder, `zmq_to_tokenizer`."""
    return reference[0]


@pytest.fixture(scope="session")
def sglang_language(reference: tuple[Encoder, LanguageServer]) -> LanguageServer:
    """SGLang's language server with SGLang's own encoder in front."""
    return reference[1]
