"""Where a pool's model comes from."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from fleet_operator.api.amounts import PositiveBytes
from fleet_operator.api.fields import DataKey, DnsName, FilePath, HubName, InsidePath, Part, Revision
from fleet_operator.api.rules import rules

Dtype = Literal["auto", "float32", "bfloat16", "float16"]

WHOLE_SECTION = "whole_section"
"""Type of an error that is about the section, not about the field that found it."""


class ModelClaim(Part):
    """A model directory on a volume."""

    claim_name: DnsName
    """PersistentVolumeClaim in the pool's namespace. Mounted read-only: ReadOnlyMany serves any number of nodes."""
    path: InsidePath | None = None
    """Directory of the model inside the volume. Unset: its root."""


class SecretKey(Part):
    """One value of a Secret in the pool's namespace."""

    name: DnsName
    """Name of the Secret."""
    key: DataKey = "token"
    """Key of the value."""


class ModelCache(Part):
    """Where downloaded weights are kept."""

    claim_name: DnsName | None = None
    """PersistentVolumeClaim (ReadWriteMany) that all replicas share, so that a model is downloaded once."""
    size: PositiveBytes | None = None
    """Most bytes of a replica's own cache, on its node's disk; over it the replica is evicted. Unset: no limit."""


class ModelSource(Part):
    """The model whose encoder is served: a directory, a name, or a directory on a volume."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "[has(self.path), has(self.name), has(self.pvc)].filter(given, given).size() == 1",
                "exactly one of path (a directory in the image or of a mounted volume), name (of the Hugging Face hub) "
                "and pvc (a PersistentVolumeClaim) is needed",
            ),
            (
                "has(self.name) || !has(self.revision)",
                "belongs to model.name: a directory has no revisions, remove it",
                "revision",
            ),
        )
    )

    path: FilePath | None = None
    """Model directory in Hugging Face layout: from the folder of the pool file; in a cluster, inside the pod."""
    name: Annotated[HubName | None, Field(validate_default=True)] = None
    """Name of the model on the Hugging Face hub, in place of `path`."""
    pvc: ModelClaim | None = Field(default=None, validate_default=True)
    """Model directory on a PersistentVolumeClaim, in place of `path`; only in a cluster."""
    revision: Revision | None = None
    """Branch, tag or commit of `name`. Without it the hub's default branch."""
    dtype: Dtype = "auto"
    """Number format of embeddings, and of weights save on CPUs that only emulate it. `auto`: the checkpoint's."""
    token_secret_ref: SecretKey | None = None
    """The hub's access token, for `name` of a gated or private model; only in a cluster."""
    cache: ModelCache = Field(default_factory=ModelCache)
    """Where weights of `name` are kept; only in a cluster."""

    @field_validator("pvc")
    @classmethod
    def _one_source(cls, pvc: ModelClaim | None, info: ValidationInfo) -> ModelClaim | None:
        if "path" not in info.data or "name" not in info.data:
            return pvc
        given = [each for each in ("path", "name") if info.data[each] is not None] + ["pvc"] * (pvc is not None)
        if len(given) > 1:
            raise PydanticCustomError(WHOLE_SECTION, f"has both {' and '.join(given)}: remove one of them")
        if not given:
            needed = "needs path (a model directory) or name (of the Hugging Face hub), or pvc (a volume of a cluster)"
            raise PydanticCustomError(WHOLE_SECTION, needed)
        return pvc

    @field_validator("revision")
    @classmethod
    def _revision_of_a_name(cls, revision: str | None, info: ValidationInfo) -> str | None:
        if revision is not None and info.data.get("name", revision) is None:
            raise ValueError("belongs to model.name: a directory has no revisions, remove it")
        return revision
