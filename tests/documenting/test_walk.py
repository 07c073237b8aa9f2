"""What of a page is typed, and what of an output is compared. A command that printed something else must be seen."""

from pathlib import Path

import pytest

from documenting.walk import Shell, commands, shape, walked

PAGE = """Say:

```console
$ echo one two
one two
$ true
```

```
$ not typed
```
"""


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("first-any-7964b4d545-98drn  1/1  2m39s", "first-any-59bb4fc5b8-b5588   1/1   83s", True),
        ("NAME   AGE\nfirst  12s", "NAME    AGE\nfirst   1m2s", True),
        ("10.244.2.17", "10.244.3.4", True),
        ("encoderpool.encoderfleet.io/first created", "encoderpool.encoderfleet.io/first unchanged", False),
        ("encoders-1", "encoders-2", True),
        ("first  Running", "first  Pending", False),
        ("one\ntwo", "one", False),
        ("last-operation: Thu Nov 26 19:41:08", "last-operation: Fri Dec  4 01:02:03", True),
    ],
)
def test_shape(one: str, other: str, same: bool) -> None:
    assert (shape(one) == shape(other)) is same


def test_commands() -> None:
    assert commands("$ a b\nprinted\n$ c | d\n  $ not\n") == ["a b", "c | d"]


def test_a_page_is_walked_in_a_shell(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    assert walked(PAGE.replace("one two\n$", "something else\n$"), shell.run) == PAGE


def test_a_command_that_fails_is_named(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="echo why; false: why"):
        Shell(tmp_path).run("echo why; false")


def test_what_runs_in_the_background_is_ended(tmp_path: Path) -> None:
    shell = Shell(tmp_path, HOME=str(tmp_path), KUBECONFIG="")
    assert shell.run("bash -c 'echo ready; sleep 1000' &") == "ready\n"
    (process,) = shell._running
    shell.close()
    assert not process.running
