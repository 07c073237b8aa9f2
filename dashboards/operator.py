"""Operator: does the operator do its work?"""

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.board import OPERATOR, Section, board
from dashboards.panels import BAD, FAIR, GOOD, Line, graph, number
from dashboards.promql import OPERATORS, POOLS, gauge, mean, quantile, total

OWN = "encoderfleet_definition_current"
"""Only operators have it: what every process has is narrowed by it."""


def _process(expr: str) -> str:
    """A series that every process has, of operators alone."""
    return f"sum({expr} and on (job, instance) {OWN})"


def _now() -> Section:
    return Section(
        "Now",
        [
            number(
                "Operators",
                "Operators that are scraped. None: it is down, or Prometheus does not find it (monitor.kind of the "
                "chart). Encoders serve on without it; nobody scales or mends them.",
                "none",
                Line(f"count({OWN}) or vector(0)", "operators"),
                words={0: ("none", BAD)},
            ),
            number(
                "Definition",
                "Whether the EncoderPool definition in the cluster is that of this operator. If not, apply crds/ of "
                "its version and restart it (docs/install.md, Upgrade).",
                "none",
                Line(f"min({OWN})", "current"),
                words={1: ("current", GOOD), 0: ("another version", BAD)},
            ),
            number(
                "Pools waiting for a visit",
                "Pools in the queue. Some for a moment are normal; if it stays, visits hang or the API server is slow.",
                "none",
                Line("sum(encoderfleet_queue_pools)", "waiting"),
                steps={20: FAIR, 200: BAD},
            ),
            number(
                "Failed visits in 15 minutes",
                "Visits that failed and are repeated. The operator's log and the pool's condition Progressing have the "
                "API server's words.",
                "none",
                Line("sum(increase(encoderfleet_reconcile_errors_total[15m]))", "failed"),
                steps={1: FAIR, 10: BAD},
            ),
            number(
                "Missed by watches in an hour",
                "Objects that a watch did not tell of and a comparison found. Now and then is harmless; again and "
                "again, the operator is restarted by its liveness probe.",
                "none",
                Line("sum(increase(encoderfleet_watch_missed_total[1h])) or vector(0)", "missed"),
                steps={1: FAIR},
            ),
            number(
                "Defects in scaling in 15 minutes",
                "Looks at a pool's load that a defect ended; its replicas are held meanwhile. The log has the "
                "traceback.",
                "none",
                Line("sum(increase(encoderfleet_scaling_errors_total[15m]))", "defects"),
                steps={1: BAD},
            ),
        ],
    )


def _visits() -> Section:
    seconds = "encoderfleet_reconcile_seconds"
    return Section(
        "Visits to pools",
        [
            graph(
                "Time of a visit",
                "One look at a pool: observe, plan, write, report. It is mostly waiting for the API server: compare "
                "with the time of its requests below.",
                "s",
                Line(quantile(0.5, seconds, OPERATORS), "p50"),
                Line(quantile(0.99, seconds, OPERATORS), "p99"),
                Line(mean(seconds, OPERATORS), "mean"),
            ),
            graph(
                "Visits and failures",
                "Visits a second, and those that failed. Visits without an end while nothing changes: something "
                "rewrites what the operator applies, see the pools' conditions.",
                "ops",
                Line(total(f"{seconds}_count", OPERATORS), "visits"),
                Line(total("encoderfleet_reconcile_errors_total", OPERATORS), "failed"),
            ),
            graph(
                "Queue",
                "Pools that wait for a visit. It is filled at a start and when nodes change; if it does not go back to "
                "0, the operator cannot keep up.",
                "short",
                Line(gauge("encoderfleet_queue_pools", OPERATORS), "pools"),
            ),
            graph(
                "Replicas of the chosen pools",
                "What shall be and what serves, as the operator sees it. It is here to be held against what Kubernetes "
                "says where you doubt the operator.",
                "none",
                Line(gauge("encoderfleet_pool_desired_replicas", POOLS), "desired"),
                Line(gauge("encoderfleet_pool_ready_replicas", POOLS), "ready"),
            ),
        ],
    )


def _api() -> Section:
    requests = "encoderfleet_api_requests_total"
    return Section(
        "API server",
        [
            graph(
                "Requests, by verb and kind",
                "Requests a second. While nothing changes there are hardly any; a kind "
                "that is written all the time is rewritten by somebody.",
                "reqps",
                Line(total(requests, OPERATORS, by="verb, kind"), "{{verb}} {{kind}}"),
                stacked=True,
            ),
            graph(
                "Requests, by status code",
                "Requests a second by what the API server said; 0 is no answer. 403 is a missing right, 409 a conflict "
                "that is tried again, 422 what it refuses, 429 and 5xx an overloaded server.",
                "reqps",
                Line(total(requests, OPERATORS, by="code"), "{{code}}"),
                stacked=True,
            ),
            graph(
                "Refused or failed, by verb and kind",
                "Requests a second that did not succeed. docs/install.md has the table of rights; the operator's log "
                "names the object.",
                "reqps",
                Line(total(requests, OPERATORS, 'code!~"2.."', by="verb, kind, code"), "{{verb}} {{kind}} {{code}}"),
            ),
            graph(
                "Time of a request, p99",
                "By verb; watches are not among them. Where all are slow, it is the API server or a webhook.",
                "s",
                Line(quantile(0.99, "encoderfleet_api_request_seconds", OPERATORS, by="verb"), "{{verb}}"),
            ),
        ],
    )


def _watches() -> Section:
    return Section(
        "Watches",
        [
            graph(
                "Events, by kind",
                "Events of watches a second. A storm of one kind says who makes the operator work: pods that crash, "
                "nodes whose status changes.",
                "ops",
                Line(total("encoderfleet_watch_events_total", OPERATORS, by="kind"), "{{kind}}"),
                stacked=True,
            ),
            graph(
                "Age of the last event, by kind",
                "Time since a watch last told anything. In a quiet cluster it grows and means nothing; with pods that "
                "come and go, an old Pod is a dead watch.",
                "s",
                Line(gauge("encoderfleet_watch_age_seconds", OPERATORS, by="kind", how="max"), "{{kind}}"),
            ),
            graph(
                "Missed, by kind",
                "Objects that a watch did not tell of, found by the comparison each five minutes and put right. Often: "
                "something between operator and API server loses events.",
                "none",
                Line("sum by (kind) (increase(encoderfleet_watch_missed_total[15m]))", "{{kind}}"),
                span=24,
            ),
        ],
    )


def _scaling() -> Section:
    return Section(
        "Scaling and language servers",
        [
            graph(
                "Decisions, by what they rest on",
                "Decisions about replicas a second. load is normal; hold: too little is known; fallback: nobody has "
                "told its load for long, see the readings beside.",
                "ops",
                Line(total("encoderfleet_scaling_decisions_total", OPERATORS, by="basis"), "{{basis}}"),
                stacked=True,
            ),
            graph(
                "Decisions that change the number",
                "Decisions a second for more or fewer replicas. Both in turn for long: the target or the windows of "
                "spec.autoscaling.behavior are too tight.",
                "ops",
                Line(
                    total("encoderfleet_scaling_decisions_total", OPERATORS, 'change!="none"', by="change"),
                    "{{change}}",
                ),
            ),
            graph(
                "Readings of encoders' metrics, by outcome",
                "The operator asks each encoder for its load. unreachable: a NetworkPolicy or pods that are not ready; "
                "not_metrics: an image of another version.",
                "ops",
                Line(total("encoderfleet_scrapes_total", OPERATORS, by="outcome"), "{{outcome}}"),
                stacked=True,
            ),
            graph(
                "Requests to language servers, by outcome",
                "What the operator asks of SGLang language servers and encoders, and how it ended. Failures for long: "
                "see condition ConsumersRegistered of the pools.",
                "ops",
                Line(
                    total("encoderfleet_registry_requests_total", OPERATORS, by="request, outcome"),
                    "{{request}} {{outcome}}",
                ),
                stacked=True,
            ),
            graph(
                "Encoders that language servers know",
                "Registrations of the chosen pools, against ready encoders times ready language servers. Lower for "
                "minutes: condition ConsumersRegistered says why.",
                "none",
                Line(gauge("encoderfleet_pool_registrations", POOLS, by="pool_namespace, pool"), "{{pool}} registered"),
                Line(
                    f"{gauge('encoderfleet_pool_ready_replicas', POOLS, by='pool_namespace, pool')}"
                    f" * {gauge('encoderfleet_pool_language_servers', POOLS, by='pool_namespace, pool')}",
                    "{{pool}} expected",
                ),
                span=24,
            ),
        ],
    )


def _self() -> Section:
    return Section(
        "Process",
        [
            graph(
                "Memory",
                "Resident memory of the operator. It grows with pods and nodes that it watches; towards its limit "
                "(resources of the chart), raise that.",
                "bytes",
                Line(_process("process_resident_memory_bytes"), "resident"),
            ),
            graph(
                "CPU time",
                "CPUs that the operator uses; it has one thread. Near 1 it cannot keep up: look for what makes it work "
                "among visits and events.",
                "short",
                Line(_process("rate(process_cpu_seconds_total[$__rate_interval])"), "used"),
                most=1,
            ),
            graph(
                "Open files",
                "Sockets and files. Growing without an end is a leak.",
                "short",
                Line(_process("process_open_fds"), "open"),
            ),
            graph(
                "Time since its start",
                "A saw's teeth: it is restarted again and again, and kubectl describe pod says why.",
                "s",
                Line(_process("(time() - process_start_time_seconds)"), "since its start"),
            ),
        ],
    )


def operator() -> Dashboard:
    """The dashboard."""
    return board(
        OPERATOR,
        "The operator itself: whether it visits pools, gets its way with the API server, hears of changes, and scales.",
        [_now(), _visits(), _api(), _watches(), _scaling(), _self()],
        shown=("namespace", "pool"),
    )
