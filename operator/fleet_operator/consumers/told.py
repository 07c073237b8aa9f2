"""What language servers and encoders say, as far as somebody asks for it. Nothing is believed: any type may come."""

from typing import Any

import msgspec


class Listed(msgspec.Struct, frozen=True):
    """Of `/list_encoder_urls`.

    Attributes:
        encoder_urls: A list, if all is well.
    """

    encoder_urls: Any = None


class Told(msgspec.Struct, frozen=True):
    """Of `/model_info` and `/server_info`. Attributes have the names that they have there."""

    model_path: Any = None
    model_type: Any = None
    architectures: Any = None
    dtype: Any = None
    revision: Any = None
    encoder_transfer_backend: Any = None


NOTHING = Told()
"""Of one that says nothing, as SGLang's own encoder."""
