"""Which programs are taken, and which Go builds them."""

from pathlib import Path

import pytest
from tests.cluster import go, programs
from tests.cluster.cache import MissingProgramError


def test_programs_that_somebody_has_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = programs.API_SERVER.find()
    for name in ("etcd", "kubectl"):
        (tmp_path / name).touch(mode=0o755)
    (tmp_path / "kube-scheduler").touch(mode=0o644)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))

    assert programs.ETCD.find() == tmp_path / "etcd"
    assert programs.find_tool("kubectl") == tmp_path / "kubectl"
    assert programs.API_SERVER.find() == built
    assert programs.SCHEDULER.find() != tmp_path / "kube-scheduler"


def test_other_sources_or_another_cache_are_another_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "modules" / "etcd"
    module.mkdir(parents=True)
    monkeypatch.setattr(programs, "MODULES", tmp_path / "modules")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folders = []
    for patch in "12":
        (module / "go.mod").write_text(f"require go.etcd.io/etcd/server/v3 v3.6.{patch}\n")
        (module / "go.sum").write_text("")
        folders.append(programs.ETCD.folder)

    assert folders[0] != folders[1]
    assert {each.parent for each in folders} == {tmp_path / "cache" / "encoderfleet" / "control-plane"}
    assert programs.ETCD.find() is None


def test_a_program_of_our_own_is_built_anew_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "own"
    module.mkdir()
    monkeypatch.setattr(programs, "MODULES", tmp_path)
    (module / "go.mod").write_text("require (\n\texample.org/lib/api v0.3.0\n\texample.org/lib v1.2.3\n)\n")
    (module / "go.sum").write_text("")
    target = programs.Target("own", "own", ".", 1, library="example.org/lib")
    folders = []
    for text in ("package main", "package main // other"):
        (module / "main.go").write_text(text)
        folders.append(target.folder)

    assert folders[0] != folders[1]
    assert target.version == "1.2.3"


@pytest.mark.parametrize(("text", "numbers"), [("go1.26.8", (1, 26, 8)), ("1.26", (1, 26)), ("go1.27rc1", (1, 27))])
def test_a_version_of_go_is_numbers(text: str, numbers: tuple[int, ...]) -> None:
    assert go.version(text) == numbers


def test_an_old_go_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "go"
    old.write_text("#!/bin/sh\necho go1.19.8\n")
    old.chmod(0o755)

    def no_index(say: object) -> Path:
        raise MissingProgramError("there is no index")

    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(go.wheels, "unpack_go", no_index)

    with pytest.raises(
        MissingProgramError, match=r"install Go 1\.26\.6 or newer .* is go1\.19\.8, and there is no index"
    ):
        go.find(print)
