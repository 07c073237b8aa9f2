"""Text of the /metrics of SGLang's own encoder -> the same reading, as near as it comes. Pure.

It tells requests, not patches, and each counts as `REQUEST_PATCHES`: demand and capacity are in one unit, as they must
be, and a change of what requests hold shows as a change of capacity, which is learnt anew. What is less exact:

* *Work.* A request of one thumbnail is as one of an hour of video.
* *Demand* is what was received. SGLang refuses nothing, so that is all of it.
* *The backlog* is what was received and neither answered nor failed.
* *Busy.* It loads, preprocesses and computes one batch after the other, so its time is one: the sum of both, of the
  device where it has one. Which of the two limits is not told.
* *The cache* is unknown: what it answers counts as computed.
"""

import re

from prometheus_client.parser import text_string_to_metric_families

from fleet_operator.autoscale.samples import TOO_LARGE, MetricsError, Reading, Stage

REQUEST_PATCHES = 1000.0
"""An image of 500 x 400 pixels has as many."""

_RECEIVED = "sglang:encoder_requests_received_total"
_ENDED = "sglang:encoder_requests_total"
_PREPROCESS = "sglang:encoder_preprocess_seconds_sum"
_FORWARD = "sglang:encoder_model_forward_seconds_sum"
SERIES = (_RECEIVED, _ENDED, _PREPROCESS, _FORWARD)
_MOST_LINES = 1000

_WANTED = re.compile(rf"^(?:{'|'.join(SERIES)})[ {{].*$", re.MULTILINE)
_TEXT = re.compile(r"\s*(?:#|[A-Za-z_:][A-Za-z0-9_:]*[ {])")


def read_sglang(text: str, time: float, *, device: str) -> Reading:
    """What /metrics says, at `time`; all of it 0 before the first request, as the text is empty then.

    Args:
        text: The text.
        time: In seconds of a clock that never goes back.
        device: `cuda` or `cpu`, which the encoder does not tell.

    Raises:
        MetricsError: The text is not that of SGLang's encoder.
    """
    if text.strip() and not _TEXT.match(text):
        raise MetricsError("not Prometheus text")
    lines = _WANTED.findall(text)
    if len(lines) > _MOST_LINES:
        raise MetricsError(f"not the metrics of an encoder: {len(lines)} samples")
    try:
        samples = [
            each for family in text_string_to_metric_families("\n".join(lines) + "\n") for each in family.samples
        ]
    except Exception as error:  # of what a line may hold, the parser expects least: IndexError, KeyError, ...
        raise MetricsError(f"not Prometheus text: {error or type(error).__name__}") from error

    def total(name: str, **labels: str) -> float:
        return sum(each.value for each in samples if each.name == name and labels.items() <= each.labels.items())

    received, succeeded, ended = total(_RECEIVED), total(_ENDED, status="success"), total(_ENDED)
    busy = total(_PREPROCESS) + total(_FORWARD)
    if not all(0 <= number < TOO_LARGE / REQUEST_PATCHES for number in (received, succeeded, ended, busy)):
        raise MetricsError("not the metrics of an encoder: a number is negative, beyond counting, or none")
    ranks = len({each.labels.get("dp_rank") for each in samples if each.name == _PREPROCESS})
    return Reading(
        time=time,
        ready=True,  # its pod is, else it is not asked
        draining=False,
        device=device,
        fingerprint="",
        offered=received * REQUEST_PATCHES,
        served=succeeded * REQUEST_PATCHES,
        computed=succeeded * REQUEST_PATCHES,
        pending=max(0.0, received - ended) * REQUEST_PATCHES,
        slots=0.0,
        slots_held=0.0,
        stages={"forward": Stage(float(max(1, ranks)), busy)},
    )
