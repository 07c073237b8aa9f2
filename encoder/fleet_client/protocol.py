"""The native wire: what client and encoder say to each other, as types.

A message is one ZMQ multipart. Frame 0 is a msgpack header, one of the structs below, told apart by its
``type`` field; the frames behind it are raw tensor or media bytes that the header refers to by number
(0 is the first frame *after* the header). Nothing is ever pickled.

::

    client (DEALER)                          encoder (ROUTER)
      Hello            ------------------->
                       <-------------------  Welcome        what it serves, and its limits
      Encode + media   ------------------->
                       <-------------------  Result + tensor, one an item, as soon as it is done
      Cancel           ------------------->
                       <-------------------  Load           every second while this client has work here

Unknown fields of a client's messages are refused: a misspelt option must not be silently ignored. Those of an
encoder's are ignored, so that clients outlive the upgrade of their encoders.
"""

import enum
from typing import Literal, TypeVar, get_args

import msgspec

VERSION = 1
"""Raised when a peer of the old version could misunderstand a message of the new one."""

MAX_HEADER_BYTES = 1 << 20
MAX_ITEMS = 1024

Modality = Literal["image", "video", "audio"]
MODALITIES: tuple[Modality, ...] = get_args(Modality)

_M = TypeVar("_M")


class Status(enum.StrEnum):
    """How one item ended. Everything but OK carries a message that says what to do."""

    OK = "OK"
    BUSY = "BUSY"  # admission is full: retry elsewhere, or here after retry_after_ms
    DRAINING = "DRAINING"  # this encoder is going away: retry elsewhere
    INVALID = "INVALID"  # the item cannot be encoded, here or elsewhere
    MEDIA_UNREACHABLE = "MEDIA_UNREACHABLE"  # the host of its URL fails or is too slow: not elsewhere, but later
    TOO_LARGE = "TOO_LARGE"  # over a limit of the pool
    INCOMPATIBLE = "INCOMPATIBLE"  # other protocol version, or a modality that this model does not have
    EXPIRED = "EXPIRED"  # its deadline passed before the forward pass
    CANCELLED = "CANCELLED"  # its caller asked for that
    INTERNAL = "INTERNAL"  # a defect or a lost device: retry elsewhere


class Question(msgspec.Struct, tag_field="type", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Base of what clients say."""


class Answer(msgspec.Struct, tag_field="type", frozen=True, kw_only=True):
    """Base of what encoders say."""


class Sampling(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Which frames of a video to take; the model family's own default where both are None.

    Attributes:
        fps: Frames a second to sample, over 0.
        frames: Exactly this many frames, spread evenly.
    """

    fps: float | None = None
    frames: int | None = None


class Item(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True, omit_defaults=True):
    """One image, video or audio clip. Exactly one of `frame` and `url` is given.

    Attributes:
        modality: What it is.
        frame: Number of the message frame that holds the media file's bytes.
        url: `https://...`, `http://...`, `data:...` or `file:///...` (below the pool's `localRoot`).
        sampling: For video only.
    """

    modality: Modality
    frame: int | None = None
    url: str | None = None
    sampling: Sampling | None = None


class Hello(Question, tag="hello", frozen=True):
    """First message of a client."""

    version: int = VERSION
    client: str = ""


class Encode(Question, tag="encode", frozen=True):
    """Encode these items. The same `id` sent again while it is in flight is answered once.

    Attributes:
        id: Chosen by the client, unique to it; the same on a retry elsewhere, so that logs can be joined.
        items: At most `MAX_ITEMS`.
        timeout_ms: Time left until nobody wants the answer, from now. A duration, as clocks of two hosts differ.
        version: Version of the protocol that the client speaks.
    """

    id: str
    items: list[Item]
    timeout_ms: int | None = None
    version: int = VERSION


class Cancel(Question, tag="cancel", frozen=True):
    """Nobody waits for this request any more. Not answered."""

    id: str


class Welcome(Answer, tag="welcome", frozen=True):
    """Answer to `Hello`.

    Attributes:
        version: Protocol version of the encoder.
        server: Name and version of the program.
        replica: Name of this encoder in its pool.
        model: Name of the model.
        family: Model family, as in `encoderfleet model new --family`.
        fingerprint: Of weights, dtype and processor settings: equal fingerprints give equal embeddings.
        modalities: What it encodes.
        dim: Width of an embedding row.
        dtype: Of the embeddings, as torch names it without the prefix: `float32`, `bfloat16`, `float16`.
        max_item_bytes: A media file over this many bytes is refused.
        max_pending_patches: Admission limit of this encoder.
        ready: False while it warms up or drains.
    """

    version: int
    server: str
    replica: str
    model: str
    family: str
    fingerprint: str
    modalities: list[Modality]
    dim: int
    dtype: str
    max_item_bytes: int
    max_pending_patches: int
    ready: bool


class Tensor(msgspec.Struct, frozen=True, kw_only=True):
    """Shape of the raw, row-major, little-endian tensor in frame `frame`."""

    frame: int
    dtype: str
    shape: list[int]


class Meta(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a language server needs to know beside the embedding. None where it does not apply.

    Attributes:
        tokens: Rows of the embedding.
        patches: Work it took: patches of the vision tower, or frames of the audio tower.
        grid: (t, h, w) in patches, before merging.
        original_size: (width, height) in pixels after rotation, before resizing.
        fps: Frames a second of the *sampled* frames.
        source_fps: Average frame rate of the file.
        frame_indices: Of the sampled frames, in display order.
        timestamps: Seconds, index / average rate: what Hugging Face's processors use.
        pts: Seconds, the presentation time that the file says, for clips with a variable rate.
        second_per_grid: Seconds that one temporal grid step covers.
        duration: Seconds of video or audio.
        samples: Audio samples at the model's rate.
        audio_frames: Mel frames without padding.
        chunks: Windows that a long audio clip was cut into.
        decoder: Which library decoded it.
    """

    tokens: int
    patches: int
    grid: tuple[int, int, int] | None = None
    original_size: tuple[int, int] | None = None
    fps: float | None = None
    source_fps: float | None = None
    frame_indices: list[int] | None = None
    timestamps: list[float] | None = None
    pts: list[float] | None = None
    second_per_grid: float | None = None
    duration: float | None = None
    samples: int | None = None
    audio_frames: int | None = None
    chunks: int | None = None
    decoder: str | None = None


class Result(Answer, tag="result", frozen=True, omit_defaults=True):
    """The end of one item: an embedding, or the reason why there is none.

    Attributes:
        id: Of the request.
        index: Of the item in the request; -1 where the request as a whole was refused.
        status: How it ended.
        message: What to do about it, empty when OK.
        retry_after_ms: With BUSY: when there may be room.
        tensor: `[tokens, dim]`.
        meta: See `Meta`.
        cached: The embedding came from the cache, or was computed for an identical item at the same time.
        stage_ms: Milliseconds that the item spent in each stage, waiting included.
        pending_patches: Work that this encoder still has, for the client's choice of the next one.
    """

    id: str
    index: int
    status: Status
    message: str = ""
    retry_after_ms: int | None = None
    tensor: Tensor | None = None
    meta: Meta | None = None
    cached: bool = False
    stage_ms: dict[str, float] | None = None
    pending_patches: int = 0


class Load(Answer, tag="load", frozen=True):
    """How much work this encoder has; sent once a second to every client with work here."""

    pending_patches: int
    draining: bool = False


ClientMessage = Hello | Encode | Cancel
ServerMessage = Welcome | Result | Load

_encoder = msgspec.msgpack.Encoder()
_client_decoder: msgspec.msgpack.Decoder[ClientMessage] = msgspec.msgpack.Decoder(ClientMessage)
_server_decoder: msgspec.msgpack.Decoder[ServerMessage] = msgspec.msgpack.Decoder(ServerMessage)


def pack(message: ClientMessage | ServerMessage) -> bytes:
    """The header frame of `message`."""
    return _encoder.encode(message)


def unpack_from_client(header: bytes | memoryview) -> ClientMessage:
    """Read a header that a client sent.

    Raises:
        ValueError: It is too long, not msgpack, or not one of the client's messages; says where.
    """
    return _unpack(_client_decoder, header)


def unpack_from_server(header: bytes | memoryview) -> ServerMessage:
    """Read a header that an encoder sent.

    Raises:
        ValueError: As for `unpack_from_client`.
    """
    return _unpack(_server_decoder, header)


def _unpack(decoder: "msgspec.msgpack.Decoder[_M]", header: bytes | memoryview) -> _M:
    if len(header) > MAX_HEADER_BYTES:
        raise ValueError(f"header of {len(header)} bytes, the limit is {MAX_HEADER_BYTES}: send media as frames")
    try:
        return decoder.decode(header)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(f"not a message of protocol version {VERSION}: {error}") from error
