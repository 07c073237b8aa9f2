"""What can go wrong between an encoder and the hub ends in one line that says what to do."""

import errno
from pathlib import Path

import pytest

from fetching_models.conftest import SHARDS
from fetching_models.fetching import fetch, refused
from fetching_models.hub_server import Hub
from fleet_encoder.runner.hub_errors import Hub as Asked
from fleet_encoder.runner.hub_errors import explain

TINY = ("--model", "org/tiny")


def test_an_unknown_name(hub: Hub, environment: dict[str, str]) -> None:
    line = refused(environment, "--model", "org/tinny")
    assert line == (
        f"there is no directory org/tinny here, and {hub.address} has no model org/tinny, or it is private: "
        "check spec.model.name, or set spec.model.tokenSecretRef (HF_TOKEN)"
    )


def test_a_private_model_needs_the_right_token(hub: Hub, environment: dict[str, str]) -> None:
    hub.models["org/tiny"].private_for = "right"
    assert "check spec.model.name, or set spec.model.tokenSecretRef" in refused(environment, *TINY)
    line = refused(environment | {"HF_TOKEN": "wrong"}, *TINY)
    assert line.endswith("that the token may see: check spec.model.name, and spec.model.tokenSecretRef (HF_TOKEN)")
    assert fetch(environment | {"HF_TOKEN": "right"}).name == hub.models["org/tiny"].branches["main"]


def test_a_gated_model_needs_a_token_with_access(hub: Hub, environment: dict[str, str]) -> None:
    hub.models["org/tiny"].gated_for = "right"
    assert refused(environment, *TINY) == (
        f"org/tiny is gated: accept its terms at {hub.address}/org/tiny, then set spec.model.tokenSecretRef "
        "(HF_TOKEN) to a token of yours"
    )
    line = refused(environment | {"HF_TOKEN": "other"}, *TINY)
    assert line.startswith("org/tiny is gated, and the account of the token has no access: ask for it")
    directory = fetch(environment | {"HF_TOKEN": "right"}, files=SHARDS[:1])
    assert (directory / SHARDS[0]).is_file()


def test_a_token_that_is_none(environment: dict[str, str]) -> None:
    line = refused(environment | {"HF_TOKEN": "revoked"}, *TINY)
    assert line.endswith(
        "refuses access to org/tiny (HTTP 401): renew it or its rights, spec.model.tokenSecretRef (HF_TOKEN)"
    )
    assert "revoked" not in line


@pytest.mark.parametrize("revision", ["no-such-branch", "0123456789abcdef0123456789abcdef01234567"])
def test_an_unknown_revision(environment: dict[str, str], revision: str) -> None:
    line = refused(environment, *TINY, "--revision", revision)
    assert line == f"org/tiny has no branch, tag or commit {revision}: check spec.model.revision"


def test_a_name_that_the_hub_cannot_have(environment: dict[str, str]) -> None:
    line = refused(environment, "--model", "org/ti--ny")
    assert line.startswith("org/ti--ny can be no name of the hub (")
    assert line.endswith("check spec.model.name")


def test_no_hub(hub: Hub, environment: dict[str, str]) -> None:
    hub.failing = {"": 503}
    line = refused(environment, *TINY)
    assert line.startswith(f"{hub.address} answers HTTP 503 for org/tiny: try again later")
    hub.close()
    line = refused(environment, *TINY)
    assert line.startswith(
        f"org/tiny cannot be fetched from {hub.address} ([Errno 111] Connection refused): check network"
    )


def test_a_hub_that_fails_in_the_middle(hub: Hub, environment: dict[str, str]) -> None:
    hub.failing = {"api/models/org/tiny/tree": 410}
    assert refused(environment, *TINY).startswith(f"{hub.address} answers HTTP 410 for org/tiny: try again later")
    hub.failing = {"org/tiny/resolve": 418}
    assert refused(environment, *TINY).startswith(f"{hub.address} answers HTTP 418 for org/tiny: try again later")


def test_nothing_in_the_cache_and_told_to_stay_offline(hub: Hub, environment: dict[str, str], tmp_path: Path) -> None:
    offline = environment | {"HF_HUB_OFFLINE": "1"}
    line = refused(offline, *TINY)
    assert line.startswith(
        f"org/tiny at main is not, or not whole, in {tmp_path}/cache/hub, and HF_HUB_OFFLINE forbids"
    )
    assert hub.asked == []
    # The settings are there, the weights are not.
    fetch(environment)
    assert "HF_HUB_OFFLINE forbids" in refused(offline, *TINY)


def test_a_full_disk(environment: dict[str, str], tmp_path: Path) -> None:
    line = refused(environment, *TINY, limit="1024")
    assert line == (
        f"{tmp_path}/cache/hub has no room for the weights of org/tiny: make spec.model.cache.size, or the volume of "
        "spec.model.cache.claimName, larger, or set HF_HOME"
    )
    assert not [*tmp_path.glob("cache/hub/models--org--tiny/blobs/*.incomplete")]


def test_a_cache_that_is_no_directory(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    line = refused(environment | {"HF_HOME": str(tmp_path / "file")}, *TINY)
    assert line.startswith(f"{tmp_path}/file/hub cannot be used ([Errno 20] Not a directory: ")


def test_a_model_of_no_family_is_refused_before_its_weights_are_fetched(
    hub: Hub, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "llama").mkdir()
    (tmp_path / "llama" / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    (tmp_path / "llama" / "model.safetensors").write_bytes(b"x")
    hub.publish("org/llama", tmp_path / "llama")
    assert "LlamaForCausalLM" in refused(environment, "--model", "org/llama")
    assert hub.transfers("model.safetensors") == 0


def test_weights_in_another_format(hub: Hub, environment: dict[str, str], sharded: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    folder.mkdir()
    for path in sharded.glob("*config.json"):
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "pytorch_model.bin").write_bytes(b"x")
    hub.publish("org/pickled", folder)
    assert refused(environment, "--model", "org/pickled").endswith("only safetensors checkpoints are read")


def test_a_transfer_that_breaks_off_goes_on(hub: Hub, environment: dict[str, str], sharded: Path) -> None:
    hub.broken[SHARDS[0]] = 1 << 20
    directory = fetch(environment, files=SHARDS[:1])
    assert hub.transfers(SHARDS[0]) == 2
    assert (directory / SHARDS[0]).read_bytes() == (sharded / SHARDS[0]).read_bytes()


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "C has no room for the weights of org/tiny"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "C has no room"),
        (RuntimeError("Data processing error: I/O error: No space left on device (os error 28)"), "C has no room"),
        (PermissionError(errno.EACCES, "Permission denied", "C/x"), "C cannot be used ([Errno 13] Permission denied"),
        (OSError(errno.EROFS, "Read-only file system", "C/x"), "C cannot be used ([Errno 30] Read-only"),
        (OSError("Consistency check failed\nretry"), "org/tiny cannot be fetched from H (Consistency check failed)"),
        (ValueError(), "org/tiny cannot be fetched from H (ValueError)"),
    ],
)  # fmt: skip
def test_what_the_operating_system_says(error: Exception, text: str) -> None:
    line = explain(error, "org/tiny", "main", Asked("H", "C", has_token=False))
    assert line.startswith(text)
    assert "\n" not in line
