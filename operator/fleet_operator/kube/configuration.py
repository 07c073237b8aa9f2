"""Where the API server is, and who we are."""

import os
from pathlib import Path
from urllib.request import getproxies_environment

import yaml
from kubernetes.aio import client, config

from fleet_operator.kube.errors import NoClusterError

CONNECTIONS = 32


async def load_configuration(kubeconfig: Path | None = None, context: str | None = None) -> client.Configuration:
    """Where the API server is and who we are: in a pod its service account, else the kubeconfig.

    Args:
        kubeconfig: This one, also in a pod.
        context: Of the kubeconfig, in place of its current one.

    Raises:
        NoClusterError: Neither is there.
    """
    configuration = client.Configuration()
    try:
        if kubeconfig or context:
            raise config.ConfigException("a kubeconfig is asked for")
        config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException:
        await _load_kubeconfig(configuration, _where(kubeconfig), context)
    configuration.connection_pool_maxsize = CONNECTIONS
    # Nobody but us tries again. Any number here, 0 and False too, would: with those, until a server error is over.
    configuration.retries = None
    # Only where there is a proxy to find: aiohttp would look for a netrc file at each request, in a thread of its own,
    # and that is two thirds of what a request costs.
    configuration.client_session_kwargs = {"trust_env": behind_proxy()}
    return configuration


def _where(kubeconfig: Path | None) -> str:
    """Path of the kubeconfig, or paths of its parts, as `KUBECONFIG` has them."""
    where = str(kubeconfig or os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config")
    if not any(Path(each).is_file() for each in where.split(os.pathsep)):
        raise NoClusterError(f"there is no kubeconfig {where}; name one, or set KUBECONFIG")
    return where


async def _load_kubeconfig(configuration: client.Configuration, where: str, context: str | None) -> None:
    try:
        await config.load_kube_config(config_file=where, client_configuration=configuration, context=context)
    except config.ConfigException as error:
        raise NoClusterError(f"the kubeconfig {where}: {error}") from error
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        # The library takes any file for a kubeconfig, and trips over what it finds.
        raise NoClusterError(f"{where} is no kubeconfig") from error


def behind_proxy() -> bool:
    """Whether the environment names a proxy, as `HTTPS_PROXY`."""
    return bool(getproxies_environment())
