"""A certificate authority for one control plane, by the `openssl` program."""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from tests.cluster.cache import MissingProgramError

# The system's own configuration would add extensions of an authority to every certificate.
CONFIGURATION = "[req]\ndistinguished_name = name\n[name]\n"
VALID_DAYS = "30"


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key."""

    certificate: Path
    key: Path


class Authority:
    """Signs who a server or a client is.

    Args:
        folder: Where keys and certificates are written.

    Raises:
        MissingProgramError: There is no `openssl`.
    """

    def __init__(self, folder: Path) -> None:
        if shutil.which("openssl") is None:
            raise MissingProgramError("openssl is missing: run `make setup`, or install the package openssl")
        folder.mkdir(parents=True)
        self._folder = folder
        self._numbers = count()
        self._configuration = folder / "openssl.cnf"
        self._configuration.write_text(CONFIGURATION)
        self._own = self._make(
            "/CN=control-plane", "basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"
        )

    @property
    def certificate(self) -> Path:
        """What whoever trusts this authority is given."""
        return self._own.certificate

    def server(self, *addresses: str) -> Pair:
        """For a server that is reached as `addresses`, `IP:127.0.0.1` or `DNS:localhost`."""
        names = "subjectAltName=" + ",".join(addresses)
        return self._signed("/CN=server", "extendedKeyUsage=serverAuth", names)

    def peer(self, *addresses: str) -> Pair:
        """For a server that asks its like, and is known to them by the same certificate."""
        names = "subjectAltName=" + ",".join(addresses)
        return self._signed("/CN=peer", "extendedKeyUsage=serverAuth,clientAuth", names)

    def client(self, user: str, groups: Sequence[str] = ()) -> Pair:
        """For a user of the API server: Kubernetes takes the common name for the user, organisations for groups."""
        parts = [*(f"O={_escaped(group)}" for group in groups), f"CN={_escaped(user)}"]
        return self._signed("/" + "/".join(parts), "extendedKeyUsage=clientAuth")

    def _signed(self, subject: str, *extensions: str) -> Pair:
        authority = ("-CA", str(self._own.certificate), "-CAkey", str(self._own.key))
        return self._make(subject, "basicConstraints=critical,CA:FALSE", *extensions, authority=authority)

    def _make(self, subject: str, *extensions: str, authority: tuple[str, ...] = ()) -> Pair:
        number = next(self._numbers)
        pair = Pair(self._folder / f"{number}.crt", self._folder / f"{number}.key")
        # Elliptic curves: a key takes milliseconds, where RSA takes up to a second here.
        _openssl(
            *("req", "-x509", "-config", str(self._configuration), "-days", VALID_DAYS, "-utf8"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"),
            *("-subj", subject, *authority, "-keyout", str(pair.key), "-out", str(pair.certificate)),
            *(argument for extension in extensions for argument in ("-addext", extension)),
        )
        return pair


def _openssl(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise OSError(f"openssl {' '.join(arguments)}: {done.stderr}")


def _escaped(name: str) -> str:
    return "".join(f"\\{character}" if character in "/+=\\" else character for character in name)
