"""What an encoder says of itself: to clients of the native wire, and in the words of SGLang's servers."""

from typing import Any

from fleet_client import protocol
from fleet_client.protocol import Modality
from fleet_encoder import __version__
from fleet_encoder.config import Config
from fleet_encoder.drain import Lifecycle
from fleet_encoder.families.base import Family
from fleet_encoder.runner.placement import dtype_name
from fleet_encoder.runner.runner import Runner, settings_digest


class About:
    """One encoder.

    Args:
        config: All settings.
        family: Of the model.
        runner: Of the tower.
        modalities: What is served.
        lifecycle: Loaded? Ready?
    """

    def __init__(
        self, config: Config, family: Family, runner: Runner, modalities: tuple[Modality, ...], lifecycle: Lifecycle
    ) -> None:
        self.config = config
        self.family = family
        self.runner = runner
        self.modalities = modalities
        self.lifecycle = lifecycle

    def welcome(self) -> protocol.Welcome:
        """What this encoder is and takes."""
        return protocol.Welcome(
            version=protocol.VERSION,
            server=f"encoderfleet {__version__}",
            replica=self.config.replica,
            model=self.config.model.name,
            family=self.family.name,
            fingerprint=self.runner.fingerprint if self.lifecycle.loaded else "",
            modalities=list(self.modalities),
            dim=self.family.dim,
            dtype=dtype_name(self.runner.dtype),
            max_item_bytes=self.config.media.max_bytes,
            max_pending_patches=self.config.max_pending_patches,
            ready=self.lifecycle.ready,
        )

    def model_info(self) -> dict[str, Any]:
        """What is served, in the words of SGLang's servers: for who compares it with a language server."""
        return {
            "model_path": str(self.config.model),
            "revision": self.config.revision or None,
            "model_type": self.family.name,
            "architectures": sorted(self.family.architectures),
            "dtype": dtype_name(self.runner.dtype),
            "hidden_size": self.family.dim,
            "modalities": list(self.modalities),
            "processor_sha256": settings_digest(self.family.settings),
            "fingerprint": self.runner.fingerprint if self.lifecycle.loaded else None,
            "is_encoder": True,
            "version": __version__,
        }
