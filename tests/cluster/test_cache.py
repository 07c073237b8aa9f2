"""Where the cache is: one place for a user, from whichever folder a program is started."""

import os
from pathlib import Path

import pytest
from tests.cluster.cache import MissingProgramError, cache


def test_the_cache_is_where_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache("it") == tmp_path / "encoderfleet" / "it"


@pytest.mark.parametrize("relative", ["", "here", "./here", "../here"])
def test_a_relative_path_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, relative: str) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", relative)
    assert cache("it") == tmp_path / ".cache" / "encoderfleet" / "it"


def test_a_user_without_a_home_reads_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 9)  # of nobody
    with pytest.raises(MissingProgramError, match=r"^this user has no home folder .* set HOME or XDG_CACHE_HOME$"):
        cache("it")
