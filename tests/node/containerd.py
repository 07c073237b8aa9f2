"""containerd's configuration for one node. Pure: paths in, text out."""

from pathlib import Path

PAUSE = "docker.io/library/pause:1"
"""Holds a pod's namespaces."""
PLUGINS = "/usr/lib/cni"
"""Where Debian keeps the network plugins."""


def configuration(folder: Path) -> str:
    """Of a containerd that keeps everything in `folder`."""
    return f"""
version = 3
root = "{folder / "root"}"
state = "{folder / "state"}"

[grpc]
  address = "{socket(folder)}"

[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "{PAUSE}"

[plugins."io.containerd.cri.v1.runtime"]
  # A machine that is a container itself may not make a process less likely to be killed than it is.
  restrict_oom_score_adj = true

[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = ["{PLUGINS}"]
  conf_dir = "{folder / "cni"}"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
"""


def socket(folder: Path) -> Path:
    """Where it listens."""
    return folder / "containerd.sock"
