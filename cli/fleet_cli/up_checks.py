"""What `encoderfleet up` finds before it starts anything."""

import importlib.util
from pathlib import Path
from urllib.parse import urlsplit

import click

from fleet_encoder.wire.sglang import addresses
from fleet_operator.api import EncoderPool

USAGE = 2


class Fault(click.ClickException):
    """Ends `up` with one line and exit code 2: the user has to change something."""

    exit_code = USAGE


def check_language_server(url: str) -> None:
    """One that replicas of this machine can be told to: elsewhere it could not connect to them.

    Raises:
        Fault: It is elsewhere, or no such address.
    """
    flag = f"--register {addresses.without_password(url)}"
    if reason := addresses.wrong(url):
        raise Fault(f"{flag}: {reason}")
    host = urlsplit(url).hostname or ""
    if host != "localhost" and not host.startswith("127."):
        raise Fault(
            f"{flag}: replicas listen on 127.0.0.1, for language servers of this machine: give "
            "http://127.0.0.1:30000; elsewhere run encoderfleet-encoder with --sglang-http and --register, or a cluster"
        )


def check_fits(pool: EncoderPool, cpus: int) -> None:
    """A file that was written for a cluster is not to bring a laptop to its knees.

    Raises:
        Fault: There are more replicas than CPUs.
    """
    replicas = pool.spec.replicas
    if replicas > cpus:
        raise Fault(
            f"spec.replicas: {replicas} replicas are more than this machine has CPUs, {cpus}: "
            f"try --replicas {cpus}, or insist with --replicas {replicas}"
        )


def check_can_run(pool: EncoderPool) -> None:
    """Find before anything is started what would end every replica.

    Raises:
        Fault: There is nothing to run, or the model or the encoder's packages are missing.
    """
    if pool.spec.replicas == 0:
        raise Fault("spec.replicas: 0 leaves nothing to run here; set it to 1 or more")
    model = pool.spec.model
    if model.pvc is not None:
        raise Fault(
            "spec.model.pvc: this machine has no volumes of a cluster; give the model's folder as spec.model.path, "
            "or its name on the Hugging Face hub as spec.model.name"
        )
    # What is wrong with a name only the hub can tell, and it tells the replicas.
    if model.path is not None and not (Path(model.path) / "config.json").is_file():
        family = "qwen2_audio" if "audio" in pool.spec.modalities else "qwen2_5_vl"
        raise Fault(
            f"spec.model.path: there is no model in {model.path} (config.json is missing); a small one to try: "
            f"encoderfleet model new --family {family} {model.path}"
        )
    if importlib.util.find_spec("torch") is None:
        raise Fault("the replicas need the encoder extra: pip install '.[encoder]' in the repository of encoderfleet")
