import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fleet_cli import consumers
from fleet_machine import visible_cpus
from planning.pools import a_pool

REPOSITORY = Path(__file__).parents[2]
HEAD = "apiVersion: encoderfleet.io/v1alpha1\nkind: EncoderPool\nmetadata: {name: vision}\n"


def encoderfleet(*arguments: str | Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """The real command, in a process of its own, on a terminal of no known width."""
    program = "import sys; from fleet_cli.main import main; main(prog_name='encoderfleet')"
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **environment},
    )


@pytest.fixture
def pool_file(tmp_path: Path) -> Path:
    """Two replicas with a GPU each, and a number by hand that is too large."""
    path = tmp_path / "pool.yaml"
    path.write_text(
        f"{HEAD}spec:\n  model: {{path: models/m}}\n  replicas: 2\n  resources: {{gpus: 1}}\n"
        "  threads: {policy: Manual, preprocessWorkers: 32}\n"
    )
    return path


def planned(path: Path, *arguments: str) -> dict[str, Any]:
    answer = encoderfleet("plan", path, "-o", "json", *arguments)
    assert (answer.returncode, answer.stderr) == (0, "")
    plan = json.loads(answer.stdout)
    assert isinstance(plan, dict)
    return plan


def test_the_arithmetic_is_told_from_machine_to_variable(pool_file: Path) -> None:
    plan = planned(pool_file, "--cpus", "17", "--gpus", "4")
    assert (plan["pool"], plan["replicas"]) == ("vision", 2)
    assert plan["machine"] == {"cpus": {"value": 17, "reason": "--cpus"}, "gpus": {"value": 4, "reason": "--gpus"}}
    assert plan["replica"]["cpus"] == {"value": 8, "reason": "17 CPUs / 2 replicas, rounded down"}
    assert plan["replica"]["gpus"]["value"] == 1
    assert plan["threads"]["videoDecodeThreads"]["value"] == 8
    assert plan["threads"]["forwardThreads"]["value"] == 1
    env = {variable["name"]: variable["value"] for variable in plan["env"]}
    assert env["SGLANG_ENCODER_PREPROC_WORKERS"] == "32"
    assert env["ENCODERFLEET_MODEL"] == str(pool_file.parent / "models" / "m")
    (warning,) = plan["warnings"]
    assert "preprocessWorkers 32" in warning


def test_this_machine_is_read_where_nothing_is_said(pool_file: Path) -> None:
    reading = visible_cpus()
    cpus = planned(pool_file, "--gpus", "0")["machine"]["cpus"]
    assert cpus == {"value": reading.cpus, "reason": reading.reason}


def test_the_tables_fit_80_columns_and_hide_nothing(pool_file: Path) -> None:
    answer = encoderfleet("plan", pool_file, "--cpus", "16", "--gpus", "0")
    lines = answer.stdout.splitlines()
    assert answer.returncode == 0
    assert max(map(len, lines)) <= 80
    assert "…" not in answer.stdout
    joined = "".join(line.strip() for line in lines)
    plan = planned(pool_file, "--cpus", "16", "--gpus", "0")
    for variable in plan["env"]:
        if variable["name"] != "ENCODERFLEET_MODEL":
            (line,) = [line for line in lines if line.startswith(f"{variable['name']}=")]
            assert line.split("  ")[0].rstrip() == f"{variable['name']}={variable['value']}"
            assert line.rstrip().endswith(variable["reason"])
    assert joined.index("CPUs of the machine") < joined.index("ENCODERFLEET_CPUS") < joined.index("warning: ")
    assert answer.stdout.count("warning: ") == len(plan["warnings"]) == 2


def test_language_servers_are_shown(pool_file: Path) -> None:
    without = encoderfleet("plan", pool_file, "--cpus", "16", "--gpus", "0")
    assert "consumers" not in without.stdout
    assert planned(pool_file)["consumers"] == []
    with pool_file.open("a") as file:
        file.write("  consumers: [{service: {name: chat}}]\n")
    shown = encoderfleet("plan", pool_file, "--cpus", "16", "--gpus", "0").stdout
    shown = " ".join(shown.split())
    assert "spec.consumers: Service chat, list of encoders at port 8997, API at port 30000" in shown
    assert "ports for them: 30000 of each pod, in a cluster; here 30010 and up with `up --sglang`" in shown
    assert planned(pool_file)["consumers"] == [{"pods": "Service chat", "bootstrapPort": 8997, "port": 30000}]


SERVERS = [
    {"service": {"name": "chat"}},
    {"service": {"name": "chat", "namespace": "web"}, "bootstrapPort": 9000},
    {"selector": {"matchLabels": {"app": "chat", "tier": "gpu"}}, "namespace": "web", "port": 8000},
]


def test_language_servers_and_ports_of_a_cluster() -> None:
    servers, ports = consumers.lines(a_pool(consumers=SERVERS), cluster=True)
    assert servers == (
        "spec.consumers: Service chat, list of encoders at port 8997, API at port 30000; "
        "Service web/chat, list of encoders at port 9000, API at port 30000; "
        "pods app=chat,tier=gpu of web, list of encoders at port 8997, API at port 8000"
    )
    assert ports == "ports of a pod: wire 5570, http 8080, sglang 30000"
    _, ports = consumers.lines(a_pool(consumers=SERVERS, runtime="SGLang"), cluster=True)
    assert ports == "ports of a pod: wire 30000"
    assert consumers.lines(a_pool(), cluster=True) == []


def test_the_page_shows_what_the_command_says(tmp_path: Path) -> None:
    path = tmp_path / "pool.yaml"
    path.write_text(f'{HEAD}spec: {{model: {{path: m}}, replicas: "2", media: {{maxByte: 1}}, maxFrames: 2}}\n')
    answer = encoderfleet("plan", path)
    assert (answer.returncode, answer.stdout) == (2, "")
    shown = answer.stderr.replace(str(path), "pool.yaml")
    page = (REPOSITORY / "docs" / "pool-file.md").read_text()
    assert "".join(f"  {line}\n" for line in shown.splitlines()) in page


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (f"{HEAD}spec: {{model: {{path: m}}, replicas: -1}}\n", "spec.replicas: must be at least 0, got -1"),
        (f"{HEAD}spec: {{model: {{path: m}}\n", "line 5, column 1: "),
        ("", "the file: has nothing"),
    ],
)
def test_one_problem_is_one_line(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "pool.yaml"
    path.write_text(content)
    answer = encoderfleet("plan", path)
    assert answer.returncode == 2
    (line,) = answer.stderr.splitlines()
    assert line.startswith(f"Error: {path}: {problem}")


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    answer = encoderfleet("plan", tmp_path / "pool.yaml")
    assert answer.returncode == 2
    assert answer.stderr == f"Error: {tmp_path / 'pool.yaml'}: cannot be read: No such file or directory\n"


@pytest.mark.parametrize("arguments", [("--cpus", "0"), ("--gpus", "-1"), ("-o", "yaml"), ("--cpu", "1")])
def test_a_wrong_flag_is_named(pool_file: Path, arguments: tuple[str, str]) -> None:
    answer = encoderfleet("plan", pool_file, *arguments)
    assert answer.returncode == 2
    assert arguments[0] in answer.stderr


def test_a_broken_driver_is_a_warning(pool_file: Path, tmp_path: Path) -> None:
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho 'no driver'\nexit 9\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    answer = encoderfleet("plan", pool_file, "-o", "json", PATH=f"{tmp_path}:/usr/bin:/bin")
    assert (answer.returncode, answer.stderr) == (0, "")
    plan = json.loads(answer.stdout)
    assert plan["machine"]["gpus"] == {"value": 0, "reason": "the driver does not work"}
    assert any(warning.startswith("nvidia-smi fails: no driver: ") for warning in plan["warnings"])
    given = encoderfleet("plan", pool_file, "-o", "json", "--gpus", "2", PATH=f"{tmp_path}:/usr/bin:/bin")
    assert "nvidia-smi" not in given.stdout


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "there is no kubeconfig {file}; name one, or set KUBECONFIG"),
        ("a: [", "{file} is no kubeconfig"),
        ("- contexts", "{file} is no kubeconfig"),
        ("text", "{file} is no kubeconfig"),
        ("", "{file} is no kubeconfig"),
        ("contexts: 3\ncurrent-context: mine", "{file} is no kubeconfig"),
        (
            "kind: Config",
            "the kubeconfig {file}: Invalid kube-config file. Expected object with name mine in {file}/contexts list",
        ),
    ],
)
def test_what_is_no_kubeconfig_is_told_in_a_line(pool_file: Path, text: str | None, problem: str) -> None:
    file = pool_file.with_name("config")
    if text is not None:
        file.write_text(text)
    # By the variable, as the flag takes only a file that is there.
    answer = encoderfleet("plan", pool_file, "--context", "mine", KUBECONFIG=str(file))
    assert (answer.returncode, answer.stderr) == (1, f"Error: {problem.format(file=file)}\n")
