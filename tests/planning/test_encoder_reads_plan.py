"""The environment that a plan makes is what the encoder reads, field by field."""

from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner

from fleet_encoder.command import read_config
from fleet_encoder.config import Config
from fleet_encoder.limits import MediaLimits
from fleet_encoder.options import encoder_options
from fleet_operator.api import EncoderPool
from fleet_operator.plan import NodeShape, plan
from planning.pools import a_pool


def read(pool: EncoderPool, shape: NodeShape) -> Config:
    """What the encoder makes of the plan."""
    seen: list[Config] = []

    @click.command()
    @encoder_options
    def command(**options: Any) -> None:
        seen.append(read_config(options))

    env = {variable.name: variable.value for variable in plan(pool, shape).env}
    answer = CliRunner().invoke(command, [], env=env, catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return seen[0]


def test_settings_arrive_as_they_were_written(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    pool = a_pool(
        model={"path": str(tmp_path), "dtype": "float16"},
        modalities=["video", "image"],
        threads={"policy": "Manual", "preprocessWorkers": 3, "videoDecodeThreads": 2, "intraOpThreads": 2},
        batching={"maxPatches": 100, "maxWaitMilliseconds": 20},
        admission={"maxPendingPatches": 200, "maxPendingBytes": "3Mi"},
        media={
            "maxBytes": "2Ki",
            "maxPixels": 4,
            "maxVideoSeconds": 5,
            "maxFrames": 6,
            "allowedDomains": ["a.example", "*.b.example"],
            "allowPrivateNetworks": True,
            "localRoot": str(tmp_path),
        },
        cache={"size": 0},
        lifecycle={"drainSeconds": 7},
    )
    config = read(pool, NodeShape(1, 0))
    assert config.model == tmp_path
    assert (config.pool, config.dtype, config.device) == ("vision", "float16", "cpu")
    assert config.modalities == ("video", "image")
    assert (config.cpus, config.forward_threads) == (1, 1)
    assert (config.preprocess_workers, config.video_decode_threads) == (3, 2)
    assert (config.ffmpeg_threads, config.intra_op_threads) == (1, 2)
    assert (config.batch_max_patches, config.batch_max_wait) == (100, 0.02)
    assert (config.max_pending_patches, config.max_pending_bytes) == (200, 3 << 20)
    assert config.media == MediaLimits(2048, 4, 5, 6)
    assert config.allowed_domains == ("a.example", "*.b.example")
    assert config.allow_private_networks is True
    assert config.local_root == tmp_path
    assert (config.cache_bytes, config.drain_seconds) == (0, 7)


def test_what_a_pool_leaves_out_is_the_encoders_own_default(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    config = read(a_pool(model={"path": str(tmp_path)}), NodeShape(1, 0))
    default = Config(model=tmp_path)
    for name in ("revision", "dtype", "modalities", "media", "allowed_domains", "allow_private_networks", "local_root"):
        assert getattr(config, name) == getattr(default, name)
    for name in ("batch_max_patches", "batch_max_wait", "max_pending_patches", "max_pending_bytes", "cache_bytes"):
        assert getattr(config, name) == getattr(default, name)
    assert config.drain_seconds == default.drain_seconds
