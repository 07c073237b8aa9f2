"""`encoderfleet-operator`, `python -m fleet_operator`: the operator, what its pod runs."""

import asyncio
import logging

import click

from fleet_operator.handlers import WatchError
from fleet_operator.http import AddressError
from fleet_operator.kube.errors import NoClusterError
from fleet_operator.run import Options, run

IMAGE = "encoderfleet-encoder"
SGLANG_IMAGE = "lmsysorg/sglang:v0.5.23"


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--namespace",
    "namespaces",
    multiple=True,
    envvar="ENCODERFLEET_NAMESPACES",
    help="Serve the pools of this namespace; may be given again. [default: all]",
)
@click.option(
    "--image",
    envvar="ENCODERFLEET_IMAGE",
    default=IMAGE,
    show_default=True,
    help="Encoder image of pools that name none.",
)
@click.option(
    "--sglang-image",
    envvar="ENCODERFLEET_SGLANG_IMAGE",
    default=SGLANG_IMAGE,
    show_default=True,
    help="The same for runtime: SGLang.",
)
@click.option(
    "--http",
    envvar="ENCODERFLEET_HTTP",
    default="*:8080",
    show_default=True,
    help="Address of /metrics and /healthz; host * is all of IPv4 and IPv6.",
)
@click.option(
    "--scaling-interval",
    type=click.FloatRange(min=2),
    envvar="ENCODERFLEET_SCALING_INTERVAL",
    default=15,
    show_default=True,
    help="Seconds between two looks at the load of pools.",
)
@click.option(
    "--resync-interval",
    type=click.FloatRange(min=1),
    envvar="ENCODERFLEET_RESYNC_INTERVAL",
    default=300,
    show_default=True,
    help="Seconds between two comparisons of what is known with what is.",
)
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning"]), envvar="ENCODERFLEET_LOG_LEVEL", default="info"
)
def main(
    namespaces: tuple[str, ...],
    image: str,
    sglang_image: str,
    http: str,
    scaling_interval: float,
    resync_interval: float,
    log_level: str,
) -> None:
    """Run the operator: make of every EncoderPool the encoders that it describes.

    Uses the service account of its pod, else the kubeconfig.
    """
    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("kopf").setLevel("DEBUG" if log_level == "debug" else "WARNING")
    try:
        asyncio.run(run(Options(namespaces, image, sglang_image, http, scaling_interval, resync_interval)))
    except NoClusterError as error:
        raise click.ClickException(f"no cluster: {error}") from error
    except WatchError as error:
        raise click.ClickException(f"{error}: start it again, as Kubernetes does") from error
    except AddressError as error:
        advice = "give another HOST:PORT, such as 127.0.0.1:18080"
        raise click.ClickException(f"--http {http}: {error}: {advice}") from error


if __name__ == "__main__":
    main()
