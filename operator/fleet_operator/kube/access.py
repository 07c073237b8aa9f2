"""Where the API server is and who we are, for those who do not use the Kubernetes client: kopf."""

from kubernetes.aio import client

from fleet_operator.kube.configuration import behind_proxy


class Access:
    """The same server and identity as the client's.

    Args:
        configuration: From `configuration.load_configuration`.

    Attributes:
        server: URL.
        authority: File with the certificate that the server's is signed by.
        insecure: Whether the server's certificate is not looked at.
        certificate: File with ours, where we have one.
        key: File with its key.
        proxy: URL of the proxy that the kubeconfig names.
        trust_env: Whether the environment names one.
    """

    def __init__(self, configuration: client.Configuration) -> None:
        self._configuration = configuration
        self.server: str = configuration.host
        self.authority: str | None = configuration.ssl_ca_cert
        self.insecure = not configuration.verify_ssl
        self.certificate: str | None = configuration.cert_file
        self.key: str | None = configuration.key_file
        self.proxy: str | None = configuration.proxy
        self.trust_env = behind_proxy()

    async def token(self) -> str | None:
        """Our token, read anew where it is time to; None where a certificate says who we are."""
        given = await self._configuration.get_api_key_with_prefix("BearerToken")
        return given.split(" ", 1)[-1] if given else None
