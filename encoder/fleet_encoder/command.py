"""`encoderfleet-encoder`, `python -m fleet_encoder`: one encoder process, what a pod runs."""

import asyncio
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import click
import structlog
import zmq
from click.core import ParameterSource

from fleet_client.protocol import MODALITIES
from fleet_encoder import descriptors
from fleet_encoder.config import Config, fit_to_cpus
from fleet_encoder.errors import ItemError
from fleet_encoder.extras import encoder_extra
from fleet_encoder.limits import MediaLimits
from fleet_encoder.logs import configure, flush
from fleet_encoder.options import encoder_options
from fleet_encoder.runner import hub
from fleet_encoder.wire.sglang import addresses, environment
from fleet_machine import cpu_features, visible_cpus

log = structlog.get_logger()

SAME_SIGNAL_SECONDS = 1.0
"""systemd signals a supervisor and its children at once, and the supervisor its children again: that is one wish."""

SWITCH_INTERVAL_SECONDS = 0.001
"""How long a worker may keep the interpreter from the event loop; Python's 5 ms would be its lag."""


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@encoder_options
@click.pass_context
def main(context: click.Context, /, **options: Any) -> None:
    """Run one encoder: a ZMQ socket in front, /metrics, /healthz and /readyz beside it.

    SIGTERM drains: not ready, DRAINING to new work, finish, exit 0. A second SIGTERM, over a second later, ends it at
    once.
    """
    config = read_config(options)
    configure(config.log_format, config.replica)
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    descriptors.raise_limit()
    for warning in config.warnings:
        log.warning(warning)
    try:
        asyncio.run(serve(config, context))
    except (ItemError, OSError, zmq.ZMQError) as error:
        flush()
        raise SystemExit(_fail(config, error)) from error


def read_config(options: dict[str, Any]) -> Config:
    """Flags and environment, as click has weighed them, -> `Config`.

    Raises:
        click.UsageError: A value that click cannot judge by itself is wrong.
    """
    unknown = [each for each in options["modalities"] if each not in MODALITIES]
    if unknown:
        raise click.UsageError(f"--modalities: {', '.join(unknown)} is not one of {', '.join(MODALITIES)}")
    given = options["model"]
    model = Path(given)
    if not hub.is_hub_name(given) and not (model / "config.json").is_file():
        raise click.UsageError(
            f"--model: no model at {given} (config.json is missing). Give a directory, or a name of the Hugging Face "
            f"hub; a small one to try: encoderfleet model new --family qwen2_5_vl {given}"
        )
    reading = visible_cpus()
    warnings = []
    cpus = options["cpus"] or reading.cpus
    if cpus > reading.cpus:
        warnings.append(f"planned with {cpus} CPUs, but this process has {reading.cpus} ({reading.reason})")
    if options["sglang_http"]:
        warnings += environment.warnings(os.environ)
    _check_registration(options)
    local_root = Path(options["local_root"]).resolve() if options["local_root"] else None
    return Config(
        model=model,
        bind=options["bind"],
        http=options["http"],
        pool=options["pool"],
        replica=options["replica"],
        revision=options["revision"],
        dtype=options["dtype"],
        device=options["device"],
        modalities=options["modalities"],
        cpus=cpus,
        preprocess_workers=options["preprocess_workers"],
        video_decode_threads=options["video_decode_threads"],
        ffmpeg_threads=options["ffmpeg_threads"],
        intra_op_threads=options["intra_op_threads"],
        forward_threads=options["forward_threads"] or cpus,
        batch_max_patches=options["batch_max_patches"],
        batch_max_wait=options["batch_max_wait_ms"] / 1000,
        max_pending_patches=options["max_pending_patches"],
        max_pending_bytes=options["max_pending_bytes"],
        media=MediaLimits(
            options["max_bytes"], options["max_pixels"], options["max_video_seconds"], options["max_frames"]
        ),
        allowed_domains=options["allowed_domains"],
        allow_private_networks=options["allow_private_networks"],
        local_root=local_root,
        cache_bytes=options["cache_bytes"],
        drain_seconds=options["drain_seconds"],
        log_format=options["log_format"],
        sglang_http=options["sglang_http"],
        sglang_request_seconds=options["request_seconds"],
        sglang_send_seconds=options["send_seconds"],
        sglang_metrics=options["sglang_metrics"],
        register=options["register"],
        advertise=options["advertise"],
        warnings=tuple(warnings),
    )


def _check_registration(options: dict[str, Any]) -> None:
    """Addresses of other programs, judged before anything is started.

    Raises:
        click.UsageError: Says which one cannot be.
    """
    for each in options["register"]:
        if reason := addresses.wrong(each):
            raise click.UsageError(f"--register {addresses.without_password(each)}: {reason}")
    own = options["advertise"]
    if own and not addresses.is_encoder_url(own):
        shown = addresses.without_password(own)
        raise click.UsageError(f"--advertise: {shown!r} is not a URL such as http://host:30002")
    _, _, port = options["sglang_http"].rpartition(":")
    if options["sglang_http"] and not (port.isdecimal() and int(port[:6]) < 65536 and ":" in options["sglang_http"]):
        raise click.UsageError(f"--sglang-http: {options['sglang_http']!r} is not host:port, such as 0.0.0.0:30000")
    if options["register"] and not options["sglang_http"]:
        raise click.UsageError("--register: language servers need --sglang-http to connect to, such as 0.0.0.0:30000")


async def serve(config: Config, context: click.Context) -> None:
    """Build the service, run it until a signal, drain.

    Raises:
        ItemError: The model cannot be served.
        OSError: An address cannot be bound.
    """
    # Not at the top of the module: `--help` and a wrong flag answer before torch is loaded.
    from dataclasses import replace

    directory, fetch = config.model, None
    with encoder_extra():
        if hub.is_hub_name(str(config.model)):
            directory = hub.fetch_settings(str(config.model), config.revision)
            fetch = partial(hub.fetch_weights, str(config.model), directory)
        from fleet_encoder.families import family_for
        from fleet_encoder.runner.placement import choose_compute_dtype, choose_device, choose_dtype, dtype_name
        from fleet_encoder.runner.runner import Runner
        from fleet_encoder.service import Service

    family = family_for(directory)(directory)
    by_flag = context.get_parameter_source("video_decode_threads") is ParameterSource.COMMANDLINE
    if family.video_decode_threads is not None and not by_flag:
        config = replace(config, video_decode_threads=family.video_decode_threads)
    use = fit_to_cpus(
        config,
        preprocess_set=context.get_parameter_source("preprocess_workers") is not ParameterSource.DEFAULT,
        decoders_set=config.video_decode_threads > 0,
    )
    for warning in use.warnings:
        log.warning(warning)
    dtype = choose_dtype(config.dtype, directory)
    device = choose_device(config.device)
    compute_dtype = choose_compute_dtype(dtype, device, cpu_features())
    if compute_dtype is not dtype:
        log.info("this CPU has no instructions for it: computed in float32", dtype=dtype_name(dtype))
    runner = Runner(directory, family, device, dtype, fetch, compute_dtype)
    stop = asyncio.Event()
    service = Service(config, use, family, runner)

    first = 0.0

    def on_signal(number: int) -> None:
        nonlocal first
        now = time.monotonic()
        if stop.is_set() and now - first < SAME_SIGNAL_SECONDS:
            return
        if stop.is_set():
            log.warning("second signal, leaving at once", signal=signal.Signals(number).name)
            os._exit(128 + number)
        first = now
        stop.set()

    loop = asyncio.get_running_loop()
    descriptors.watch(loop)
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, on_signal, each)
    code = await service.run(stop)
    flush()
    os._exit(code)  # not by the interpreter's way out: that would wait for a forward pass or name look-up under way


def _fail(config: Config, error: Exception) -> int:
    """One clear line on stderr."""
    if isinstance(error, zmq.ZMQError):
        text = f"cannot bind {config.bind}: {error.strerror or error}; choose another address with --bind"
    elif isinstance(error, OSError) and error.errno is not None:
        text = f"{error.strerror or error} ({error.filename or config.http})"
    else:
        text = str(error)
    click.echo(f"encoderfleet-encoder: {text}", err=True)
    return 2
