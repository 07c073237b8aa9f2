"""`docs/sglang.md` has what becomes of each of SGLang's variables, and every alias of a metric."""

import re
from pathlib import Path

from documenting.pages import REPOSITORY, check_part, page
from fleet_encoder.metrics import Metrics
from fleet_encoder.options import encoder_options
from fleet_encoder.wire.sglang.aliases import aliases
from fleet_encoder.wire.sglang.environment import VARIABLES
from fleet_operator.api import load_pool, parse_pool


def table() -> str:
    lines = ["| variable | here | |", "|---|---|---|"]
    lines += [f"| `{name}` | {fate} | {text} |" for name, (fate, text) in VARIABLES.items()]
    return "\n".join(lines)


def test_the_page_has_every_variable() -> None:
    check_part("sglang.md", "sglang variables", table())


def test_the_page_has_every_metric_under_sglangs_name() -> None:
    said = set(re.findall(r"`([a-z0-9_]+)`", page("sglang.md")))
    for alias in aliases(Metrics()):
        assert {alias.name, f"{alias.name}_total"} & said, alias.name


def test_what_is_honoured_is_an_option_or_is_read() -> None:
    @encoder_options
    def command() -> None: ...

    known = {option.envvar for option in command.__click_params__}  # type: ignore[attr-defined]
    read_elsewhere = {"SGLANG_HOST_IP", "VIDEO_MAX_PIXELS"}
    honoured = {name for name, (fate, _) in VARIABLES.items() if fate == "honoured"}
    assert honoured <= known | read_elsewhere
    assert not {name for name in VARIABLES if name in known} - honoured


def test_the_pools_of_the_page_are_pools_and_one_is_the_example() -> None:
    pools = [parse_pool(text, Path("/")) for text in re.findall(r"```yaml\n(.*?)```", page("sglang.md"), re.DOTALL)]
    here, cluster = pools
    assert here.spec.model.path == "/models/Qwen2.5-VL-7B-Instruct"
    assert cluster == load_pool(REPOSITORY / "examples" / "sglang-pool.yaml")


def test_examples_for_a_cluster_have_names_of_their_own() -> None:
    names = [
        load_pool(REPOSITORY / "examples" / name).metadata.name for name in ("cluster-pool.yaml", "sglang-pool.yaml")
    ]
    assert len(set(names)) == len(names)
