"""Pool: what is wrong with this pool, and with which replica?"""

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.board import ENCODER, POOL, Section, address, board
from dashboards.panels import BAD, FAIR, GOOD, Line, graph, listing, number, states
from dashboards.promql import (
    ENCODERS,
    LOADED,
    POOLS,
    TURNED_AWAY,
    WORK,
    gauge,
    mean,
    quantile,
    share,
    total,
    wrong_conditions,
)

PLAIN_CONDITIONS = 'condition!~"Progressing|ScalingActive"'
"""Those that are True wherever all is well."""
CONDITION = {1: ("True", GOOD), 0: ("False", BAD), -1: ("Unknown", FAIR)}
TO_REPLICA = (
    "Look into this replica",
    address(ENCODER, ("namespace", "pool"), replica="${__field.labels.pod}"),
)


def _pool(name: str) -> str:
    return gauge(f"encoderfleet_pool_{name}", POOLS)


def _now() -> Section:
    answered = total("encoder_items_total", ENCODERS)
    lookups = total("encoder_cache_hits_total", ENCODERS), total("encoder_cache_misses_total", ENCODERS)
    return Section(
        "Now",
        [
            number(
                "Replicas",
                "Encoders that serve, and that shall be. Fewer for longer than a model takes to load: see the "
                "conditions.",
                "none",
                Line(_pool("ready_replicas"), "ready"),
                Line(_pool("desired_replicas"), "desired"),
                names=True,
            ),
            number(
                "Wanted by load",
                "Replicas that the load asks for, within minReplicas and maxReplicas. None where spec.autoscaling.mode "
                "is Off, or no replica tells its load.",
                "none",
                Line(_pool("needed_replicas"), "wanted"),
            ),
            number(
                "Demand of capacity",
                "Patches a second asked for, over what the ready replicas can encode. Over 1 callers are turned away; "
                "none where the capacity is not known yet.",
                "percentunit",
                Line(share(_pool("demand_patches_per_second"), _pool("capacity_patches_per_second")), "of capacity"),
                steps={0.8: FAIR, 1: BAD},
            ),
            number(
                "Items turned away",
                "Share of items that were not encoded for a cause of the pool's own: full, too slow or broken. By "
                "reason it is told below.",
                "percentunit",
                Line(share(total("encoder_rejected_items_total", ENCODERS, TURNED_AWAY), answered), "turned away"),
                steps={0.01: FAIR, 0.05: BAD},
            ),
            number(
                "Answered by the cache",
                "Share of looks into the cache that found the embedding. A fall means other media, or replicas that "
                "have just started: each has a cache of its own.",
                "percentunit",
                Line(share(lookups[0], f"({lookups[0]} + {lookups[1]})"), "hits"),
            ),
            number(
                "Models served",
                "Fingerprints of model and processor among the replicas. More than 1 for longer than a rollout takes: "
                "embeddings of different ones must not be mixed.",
                "none",
                Line(
                    f"count({gauge('encoder_build_info', ENCODERS, LOADED, by='fingerprint', how='count')})", "models"
                ),
                steps={2: BAD},
            ),
        ],
    )


def _state() -> Section:
    return Section(
        "State",
        [
            states(
                "Conditions",
                "The pool's conditions over time. One that is False says why in the table beside, and in kubectl "
                "describe encp.",
                Line(
                    gauge("encoderfleet_pool_condition", POOLS, PLAIN_CONDITIONS, by="condition", how="max"),
                    "{{condition}}",
                ),
                CONDITION,
            ),
            listing(
                "What is wrong",
                "Conditions that are not as they should be. docs/troubleshooting.md has a section for each reason, "
                "with what to do.",
                Line(wrong_conditions(POOLS), ""),
                columns=("pool_namespace", "pool", "condition", "reason"),
                span=12,
                empty="All conditions are as they should be.",
            ),
            graph(
                "Replicas over time",
                "What is, what shall be, what the load asks for, and the bounds of autoscaling. Wanted at the maximum "
                "while items are turned away: raise maxReplicas.",
                "none",
                Line(_pool("ready_replicas"), "ready"),
                Line(_pool("desired_replicas"), "desired"),
                Line(_pool("needed_replicas"), "wanted by load"),
                Line(_pool("min_replicas"), "minReplicas"),
                Line(_pool("max_replicas"), "maxReplicas"),
            ),
            graph(
                "Known to language servers",
                "Encoders in the lists of SGLang language servers, against ready encoders times ready language "
                "servers. Lower for minutes: condition ConsumersRegistered says which language server, and why. Empty "
                "without spec.consumers.",
                "none",
                Line(_pool("registrations"), "registered"),
                Line(f"{_pool('ready_replicas')} * {_pool('language_servers')}", "expected"),
                Line(_pool("language_servers"), "language servers"),
            ),
        ],
    )


def _load() -> Section:
    return Section(
        "Load",
        [
            graph(
                "Demand, served and capacity",
                "Patches a second as the operator weighs them to scale. Demand over capacity is work that nobody can "
                "do with these replicas.",
                "short",
                Line(_pool("demand_patches_per_second"), "asked for"),
                Line(_pool("served_patches_per_second"), "served"),
                Line(_pool("capacity_patches_per_second"), "capacity"),
            ),
            graph(
                "Demand and served, by modality",
                "Patches a second, or frames of audio, asked for and delivered. It says which kind of media the load "
                "is, and which of them is left undone.",
                "short",
                Line(total("encoder_offered_patches_total", ENCODERS, by="modality"), "{{modality}} asked for"),
                Line(total("encoder_served_patches_total", ENCODERS, by="modality"), "{{modality}} served"),
            ),
            graph(
                "Backlog",
                "Patches taken in and not yet answered, against the limit of all replicas. At the limit callers get "
                "BUSY.",
                "short",
                Line(gauge("encoder_pending_patches", ENCODERS), "waiting"),
                Line(gauge("encoder_pending_patches_limit", ENCODERS), "limit"),
            ),
            graph(
                "Refused or dropped, by reason",
                "Items a second without an embedding. busy and expired: too few replicas. invalid, too_large, "
                "media_unreachable: the callers' media. internal: a defect or a lost device, see a replica's log.",
                "ops",
                Line(total("encoder_rejected_items_total", ENCODERS, by="reason"), "{{reason}}"),
                stacked=True,
            ),
        ],
    )


def _latency() -> Section:
    seconds, sglang = "encoder_item_seconds", "encoder_sglang_request_seconds"
    return Section(
        "Latency",
        [
            graph(
                "Time of an item, by modality",
                "From an item's arrival to its reply: median and 99th percentile. If it rises with the backlog the "
                "pool is too small; if not, a stage has become slower: see the Encoder dashboard.",
                "s",
                Line(quantile(0.5, seconds, ENCODERS, by="modality"), "{{modality}} p50"),
                Line(quantile(0.99, seconds, ENCODERS, by="modality"), "{{modality}} p99"),
            ),
            graph(
                "Wait before a stage, p99",
                "Time that an item waits for a worker, by stage. The stage with the longest wait is where the pool is "
                "short of something.",
                "s",
                Line(quantile(0.99, "encoder_stage_wait_seconds", ENCODERS, by="stage"), "{{stage}}"),
            ),
            graph(
                "SGLang: requests",
                "Requests of language servers a second, by how they ended. Errors reach users as failed requests: the "
                "encoders' logs say why. Empty without language servers.",
                "reqps",
                Line(total("encoder_sglang_requests_received_total", ENCODERS), "received"),
                Line(total("encoder_sglang_requests_total", ENCODERS, by="status"), "{{status}}"),
            ),
            graph(
                "SGLang: time of a request",
                "From a language server's request to its answer, the delivery included, and the delivery alone. Slow "
                "delivery is the network's, or a receiver's that takes nothing.",
                "s",
                Line(quantile(0.5, sglang, ENCODERS, by="modality"), "{{modality}} p50"),
                Line(quantile(0.99, sglang, ENCODERS, by="modality"), "{{modality}} p99"),
                Line(quantile(0.99, "encoder_sglang_delivery_seconds", ENCODERS), "delivery p99"),
            ),
        ],
    )


def _spread() -> Section:
    by = "pod"
    return Section(
        "Replicas compared",
        [
            graph(
                "Served, by replica",
                "Patches a second that each replica delivers. One far below the others, with demand there, is slow or "
                "stuck; one far above has callers that do not spread their load.",
                "short",
                Line(total("encoder_served_patches_total", ENCODERS, by=by), "{{pod}}"),
                link=TO_REPLICA,
            ),
            graph(
                "Time of an item, p99, by replica",
                "One replica that is slower than the others is a node's or a device's fault rather than the load's: "
                "look into it, and delete its pod where nothing else helps.",
                "s",
                Line(quantile(0.99, "encoder_item_seconds", ENCODERS, by=by), "{{pod}}"),
                link=TO_REPLICA,
            ),
            graph(
                "Waiting, by replica",
                "Patches that each replica has taken in and not answered. Growing at one alone: it is stuck, or its "
                "callers do not use the others.",
                "short",
                Line(gauge("encoder_pending_patches", ENCODERS, by=by), "{{pod}}"),
                link=TO_REPLICA,
            ),
            graph(
                "Busiest stage, by replica",
                "Share of worker time in use at each replica's busiest stage. All near 1: too few replicas. One alone: "
                "uneven load, or fewer CPUs there.",
                "percentunit",
                Line(f"max by (pod) (encoder_stage_busy_ratio{{{ENCODERS}, {WORK}}})", "{{pod}}"),
                most=1,
                link=TO_REPLICA,
            ),
            graph(
                "CPU throttled, by replica",
                "Seconds in each second for which a replica's threads were kept from running, summed over CPUs. Over "
                "some hundredths, threads are more than CPUs: see condition ThreadsPlanned.",
                "s",
                Line(total("encoder_cpu_throttled_seconds_total", ENCODERS, by=by), "{{pod}}"),
                link=TO_REPLICA,
            ),
            graph(
                "Items in a forward pass, by replica",
                "Mean size of a batch. Larger under load is good: passes are shared. 1 under load means that items "
                "arrive one by one at the device, as a stage before it is the bottleneck.",
                "short",
                Line(mean("encoder_batch_items", ENCODERS, by=by), "{{pod}}"),
                link=TO_REPLICA,
            ),
            listing(
                "What runs in each",
                "What runs in each replica. Versions or fingerprints that differ outside of a rollout are wrong.",
                Line(
                    f"max by (pod, version, model, device, dtype, fingerprint) (encoder_build_info{{{ENCODERS}}})", ""
                ),
                Line(gauge("encoder_ready", ENCODERS, by=by, how="max"), "Ready"),
                Line(gauge("encoder_draining", ENCODERS, by=by, how="max"), "Draining"),
                Line(gauge("encoder_cpu_budget", ENCODERS, by=by, how="max"), "CPUs"),
                columns=("pod", "version", "model", "device", "dtype", "fingerprint"),
            ),
        ],
    )


def pool() -> Dashboard:
    """The dashboard."""
    return board(
        POOL,
        "One pool: whether it has the replicas it shall have, whether they can do the work, and which of them cannot.",
        [_now(), _state(), _load(), _latency(), _spread()],
        shown=("namespace", "pool"),
        one=("pool",),
    )
