"""The model families that are served. A new one is a file here and a name in `FAMILIES`."""

from pathlib import Path

from fleet_client.protocol import MODALITIES, Modality
from fleet_encoder.errors import Invalid
from fleet_encoder.families.base import Family
from fleet_encoder.families.model_files import read_config
from fleet_encoder.families.qwen2_5_vl import Qwen25VL
from fleet_encoder.families.qwen2_audio import Qwen2Audio
from fleet_encoder.families.qwen2_vl import Qwen2VL

FAMILIES: dict[str, type[Family]] = {
    Qwen2VL.name: Qwen2VL,
    Qwen25VL.name: Qwen25VL,
    Qwen2Audio.name: Qwen2Audio,
}
"""Name -> family, as in `encoderfleet model new --family NAME`."""


def family_for(directory: Path) -> type[Family]:
    """The family that serves the model in `directory`, by `architectures[0]` of its config.json.

    Raises:
        Invalid: There is no config.json, or nothing here serves that architecture; lists what is served.
    """
    architectures = read_config(directory).get("architectures") or ["none"]
    for family in FAMILIES.values():
        if architectures[0] in family.architectures:
            return family
    served = ", ".join(name for family in FAMILIES.values() for name in sorted(family.architectures))
    raise Invalid(f"{directory}: architecture {architectures[0]} in config.json is not served; served are {served}")


def served_modalities(asked: tuple[Modality, ...], family: Family) -> tuple[Modality, ...]:
    """What to serve: what is asked for, else all that the model has.

    Raises:
        Invalid: The model lacks one of them: clients would send it there for nothing.
    """
    have: tuple[Modality, ...] = tuple(each for each in MODALITIES if each in family.modalities)
    if lacking := [each for each in asked if each not in have]:
        raise Invalid(
            f"spec.modalities: {family.name} encodes {', '.join(have)}, not {', '.join(lacking)}: leave that out, or "
            "serve it by a pool of its own"
        )
    return asked or have
