"""`docs/troubleshooting.md` has a section for every reason that a condition or an event of a pool may have."""

import ast
import inspect
import re
from pathlib import Path
from typing import get_args

import pytest

from documenting.pages import page
from fleet_operator.api.scaling import Autoscaling
from fleet_operator.api.status import Condition, PoolStatus
from fleet_operator.observed import pods
from fleet_operator.reconcile import (
    conditions,
    consumers_condition,
    invalid,
    late,
    news,
    observation,
    pod_conditions,
    reconciler,
    refusals,
    scaling_condition,
    writing,
)
from fleet_operator.scaling import replicas, scaler

TYPES = ("Ready", "Progressing", "ThreadsPlanned", "ScalingActive", "Schedulable", "Healthy", "ConsumersRegistered")
SOURCES = (
    *(
        conditions,
        consumers_condition,
        pod_conditions,
        scaling_condition,
        invalid,
        late,
        observation,
        reconciler,
        refusals,
        writing,
        pods,
        news,
    ),
    *(replicas, scaler),
)
OTHER_WORDS = frozenset(
    {
        # Of conditions, and types of these that are no reasons.
        *("True", "False", "Unknown", "Progressing", "ThreadsPlanned", "ScalingActive", "ConsumersRegistered"),
        # Of Kubernetes: kinds, fields, types of events, and reasons of others that are told in words of our own.
        *("Deployment", "EncoderPool", "Pod", "PodScheduled", "ScaledObject", "ServiceAccount", "ReplicaFailure"),
        *("ProgressDeadlineExceeded", "SchedulingGated", "CrashLoopBackOff", "OOMKilled", "Failed", "Succeeded"),
        *("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"),
        *("CreateContainerConfigError", "CreateContainerError", "RunContainerError"),
        *("Normal", "Warning", "Always"),
        # Of the pool.
        *("SGLang", "Native", "Auto", "Builtin"),
        # Units.
        *("CPU", "GPU"),
    }
)
PAGE = page("troubleshooting.md")
SECTIONS = re.findall(r"^### (.+)$", PAGE, re.MULTILINE)


def words() -> set[str]:
    """Words in the sources that look like reasons: `NodesTooSmall`."""
    found = set()
    for module in SOURCES:
        tree = ast.parse(Path(inspect.getfile(module)).read_text())
        constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
        found |= {
            each for each in constants if isinstance(each, str) and re.fullmatch(r"[A-Z]\w*[a-z]\w*|[A-Z]{2,}", each)
        }
    return found


def reasons() -> set[str]:
    """All that there are; each backend of autoscaling is one of `ScalingActive`."""
    return words() - OTHER_WORDS | set(get_args(Autoscaling.model_fields["backend"].annotation))


@pytest.mark.parametrize("reason", sorted(reasons()))
def test_a_reason_has_a_section(reason: str) -> None:
    assert SECTIONS.count(reason) == 1, f"docs/troubleshooting.md lacks `### {reason}`; or it is no reason: OTHER_WORDS"


def test_there_is_no_section_of_anything_else() -> None:
    assert set(SECTIONS) <= reasons()


def test_no_word_is_kept_out_that_is_not_there() -> None:
    assert OTHER_WORDS - words() == set()


@pytest.mark.parametrize("kind", TYPES)
def test_a_condition_has_a_chapter(kind: str) -> None:
    assert re.findall(rf"^## {kind}$", PAGE, re.MULTILINE) == [f"## {kind}"]


def test_the_conditions_are_those_of_the_status() -> None:
    assert PoolStatus.model_fields["conditions"].description == f"{', '.join(TYPES)}."
    assert set(get_args(Condition.model_fields["status"].annotation)) == {"True", "False", "Unknown"}


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_says_something(section: str) -> None:
    (text,) = re.findall(rf"^### {re.escape(section)}\n\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert len(text.split()) >= 8
