"""`file:` URLs: regular files below the root, and nothing else."""

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fetching.hosts import fetcher
from fleet_encoder.errors import Invalid, TooLarge
from fleet_encoder.sources import local

LIMIT = 1000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with a file; beside it a file that must not be read."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"secret")
    (tmp_path / "root" / "deep").mkdir(parents=True)
    (tmp_path / "root" / "photo").write_bytes(b"photo")
    (tmp_path / "root" / "deep" / "a b?").write_bytes(b"deep")
    return tmp_path / "root"


def read(path: object, root: Path | None, limit: int = LIMIT) -> bytes:
    return local.read(str(path), f"file://{path}", root, limit, lambda size: None)


async def test_by_url(root: Path) -> None:
    async with fetcher(local_root=root) as fetch:
        assert await fetch.fetch(f"file://{root}/photo", None) == b"photo"
        assert await fetch.fetch(f"file://{root}/deep/a%20b%3F", 10) == b"deep"
        assert fetch.held_bytes == 0
        with pytest.raises(Invalid, match=r"spec\.media\.localRoot"):
            await fetch.fetch("file:///etc/passwd", None)
        with pytest.raises(Invalid, match=r"spec\.media\.localRoot"):
            await fetch.fetch(f"file://{root}/%2e%2e/outside/secret", None)


async def test_off_by_default(root: Path) -> None:
    async with fetcher() as fetch:
        with pytest.raises(Invalid, match=r"set spec\.media\.localRoot"):
            await fetch.fetch(f"file://{root}/photo", None)


@pytest.mark.parametrize(
    "path", ["../outside/secret", "../root/../outside/secret", "deep/../../outside/secret", "..", "../rootling"]
)
def test_paths_that_leave_the_root(root: Path, path: str) -> None:
    root.with_name("rootling").write_bytes(b"secret")
    with pytest.raises(Invalid, match=r"not below spec\.media\.localRoot"):
        read(root / path, root)


def test_what_is_outside_looks_the_same_whether_it_exists_or_not(root: Path) -> None:
    messages = []
    for name in ("secret", "nothing"):
        with pytest.raises(Invalid) as caught:
            read(root.with_name("outside") / name, root)
        messages.append(str(caught.value).replace(name, "NAME"))
    assert messages[0] == messages[1]


def test_links_that_stay_inside_are_followed(root: Path) -> None:
    (root / "link").symlink_to("deep")
    (root / "link2").symlink_to(root / "link" / "a b?")
    assert read(root / "link2", root) == b"deep"
    root.with_name("alias").symlink_to(root)
    assert read(root / "photo", root.with_name("alias")) == b"photo"
    assert read(root.with_name("alias") / "photo", root) == b"photo"


@pytest.mark.parametrize("target", ["../outside/secret", "/etc/passwd", "/proc/self/environ", "link2"])
def test_links_that_leave_the_root(root: Path, target: str) -> None:
    (root / "link").symlink_to(target)
    (root / "link2").symlink_to("../outside/secret")
    with pytest.raises(Invalid, match=r"not below spec\.media\.localRoot"):
        read(root / "link", root)


def test_a_linked_folder_that_leaves_the_root(root: Path) -> None:
    (root / "link").symlink_to("../outside")
    with pytest.raises(Invalid, match=r"not below spec\.media\.localRoot"):
        read(root / "link" / "secret", root)


def test_a_folder_that_is_swapped_for_a_link_meanwhile(root: Path) -> None:
    """Somebody may write below the root and be quick: whatever moment they hit, the secret is not read."""
    (root / "swapped").mkdir()
    (root / "swapped" / "secret").write_bytes(b"harmless")
    (root / "evil").symlink_to("../outside")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            os.rename(root / "swapped", root / "aside")
            os.rename(root / "evil", root / "swapped")
            os.rename(root / "swapped", root / "evil")
            os.rename(root / "aside", root / "swapped")

    thread = threading.Thread(target=swap)
    thread.start()
    outcomes: set[object] = set()
    try:
        for _ in range(2000):
            try:
                outcomes.add(read(root / "swapped" / "secret", root))
            except Invalid:
                outcomes.add(Invalid)
    finally:
        stop.set()
        thread.join()
    assert b"secret" not in outcomes


def test_what_was_opened_is_judged_not_what_was_asked_for(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The swap at the worst moment: between the judgement of the path and the opening."""
    (root / "folder").mkdir()
    (root / "folder" / "secret").write_bytes(b"harmless")
    real = os.open

    def swap_and_open(path: str, flags: int) -> int:
        os.rename(root / "folder", root / "aside")
        (root / "folder").symlink_to("../outside")
        return real(path, flags)

    monkeypatch.setattr(os, "open", swap_and_open)
    with pytest.raises(Invalid, match=r"not below spec\.media\.localRoot"):
        read(root / "folder" / "secret", root)
    assert (root / "folder").is_symlink()  # so the swap did happen


def test_a_file_that_is_swapped_for_a_fifo_holds_no_thread(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def swap_and_open(path: str, flags: int) -> int:
        os.unlink(path)
        os.mkfifo(path)
        return real(path, flags)

    monkeypatch.setattr(os, "open", swap_and_open)
    with pytest.raises(Invalid, match="not a regular file"):
        read(root / "photo", root)


@pytest.fixture
def odd_files(root: Path) -> Iterator[Path]:
    os.mkfifo(root / "fifo")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(root / "socket"))
    (root / "folder").mkdir()
    yield root
    server.close()


@pytest.mark.parametrize("name", ["fifo", "socket", "folder", "."])
async def test_only_regular_files(odd_files: Path, name: str) -> None:
    """A FIFO without a writer would hold a thread for ever."""
    async with fetcher(local_root=odd_files) as fetch:
        with pytest.raises(Invalid, match="not a regular file"):
            await fetch.fetch(f"file://{odd_files}/{name}", None)


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/stdin", "/proc/self/fd/0"])
def test_devices_even_where_the_root_is_everything(path: str) -> None:
    with pytest.raises(Invalid):
        read(path, Path("/"))


def test_a_file_that_is_not_there(root: Path) -> None:
    with pytest.raises(Invalid, match="No such file"):
        read(root / "nothing", root)


async def test_odd_names_come_back_as_they_were_written(root: Path) -> None:
    """One line of plain text, whatever the name decodes to; a reply or a log could not carry the rest."""
    (root / "two\nlines").write_bytes(b"fine")
    async with fetcher(local_root=root) as fetch:
        assert await fetch.fetch(f"file://{root}/two%0Alines", None) == b"fine"
        for name in ("no%0Asuch", "no%FFsuch", "no\u00fcsuch"):
            with pytest.raises(Invalid, match="No such file") as caught:
                await fetch.fetch(f"file://{root}/{name}", None)
            assert str(caught.value).isascii()
            assert str(caught.value).isprintable()


def test_a_link_to_itself(root: Path) -> None:
    (root / "loop").symlink_to("loop")
    with pytest.raises(Invalid, match="symbolic links|regular"):
        read(root / "loop", root)


def test_a_name_that_is_too_long(root: Path) -> None:
    with pytest.raises(Invalid, match="too long"):
        read(root / ("x" * 300), root)


def test_the_size_is_judged_before_reading(root: Path) -> None:
    """The file is sparse and far larger than memory: reading it first would not go well."""
    with (root / "large").open("wb") as file:
        file.truncate(1 << 42)
    asked: list[int] = []
    with pytest.raises(TooLarge, match=rf"{1 << 42} bytes.*spec\.media\.maxBytes"):
        local.read(str(root / "large"), "file:///large", root, LIMIT, asked.append)
    assert asked == []
    (root / "exact").write_bytes(bytes(LIMIT))
    assert local.read(str(root / "exact"), "file:///exact", root, LIMIT, asked.append) == bytes(LIMIT)
    assert asked == [LIMIT]


def test_no_descriptor_is_left_open(root: Path) -> None:
    os.mkfifo(root / "fifo")
    before = os.listdir("/proc/self/fd")
    read(root / "photo", root)
    for path, limit in ((root / "photo", 1), (root / "fifo", LIMIT), (root / "nothing", LIMIT)):
        with pytest.raises((Invalid, TooLarge)):
            read(path, root, limit)
    assert os.listdir("/proc/self/fd") == before
