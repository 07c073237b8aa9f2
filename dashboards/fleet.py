"""Fleet: which pool is in trouble?"""

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.board import FLEET, POOL, Section, address, board
from dashboards.panels import BAD, FAIR, Line, graph, listing, number
from dashboards.promql import ENCODERS, POOLS, TURNED_AWAY, WORK, gauge, share, total, wrong_conditions

BY = "pool_namespace, pool"
NAMED = "{{pool_namespace}}/{{pool}}"
ENCODERS_NAMED = "{{namespace}}/{{pool}}"
TO_POOL = (
    "Look into this pool",
    address(POOL, namespace="${__data.fields.pool_namespace}", pool="${__data.fields.pool}"),
)
BUSIEST = f"""topk by ({BY}) (1, avg by ({BY}, stage) (
  label_replace(encoder_stage_busy_ratio{{{ENCODERS}, {WORK}}}, "pool_namespace", "$1", "namespace", "(.*)")
))"""


def _of_pools(name: str) -> str:
    return gauge(f"encoderfleet_pool_{name}", POOLS, by=BY, how="max")


MISSING = f"clamp_min({_of_pools('desired_replicas')} - {_of_pools('ready_replicas')}, 0)"


def _now() -> Section:
    answered = total("encoder_items_total", ENCODERS)
    return Section(
        "Now",
        [
            number(
                "Pools",
                "EncoderPools that the operator knows. None: no operator is scraped, or it serves other namespaces.",
                "none",
                Line(f"count({_of_pools('desired_replicas')})", "pools"),
            ),
            number(
                "Replicas ready",
                "Encoders that serve, of all chosen pools. What is missing is told beside it.",
                "none",
                Line(gauge("encoderfleet_pool_ready_replicas", POOLS), "ready"),
            ),
            number(
                "Replicas missing",
                "Encoders that shall be and do not serve. For a few minutes that is a rollout or a scale-up; longer, "
                "see which condition below says why.",
                "none",
                Line(f"sum({MISSING})", "missing"),
                steps={1: FAIR},
            ),
            number(
                "Items turned away",
                "Share of items that pools did not encode for a cause of their own: full, too slow or broken. Callers "
                "try again elsewhere; some percent for minutes mean too few replicas.",
                "percentunit",
                Line(share(total("encoder_rejected_items_total", ENCODERS, TURNED_AWAY), answered), "turned away"),
                steps={0.01: FAIR, 0.05: BAD},
            ),
            number(
                "Conditions that are wrong",
                "Conditions of pools that are not as they should be; the table below names them.",
                "none",
                Line(f"count({wrong_conditions(POOLS)}) or vector(0)", "wrong"),
                steps={1: BAD},
            ),
            number(
                "Replicas that the load wants more",
                "Replicas that load asks for beyond those that shall be, of all pools. If it stays over 0, nobody "
                "scales, or a pool is at its maximum.",
                "none",
                Line(
                    f"sum(clamp_min({_of_pools('needed_replicas')} - {_of_pools('desired_replicas')}, 0)) or vector(0)",
                    "more",
                ),
                steps={1: FAIR},
            ),
        ],
    )


def _pools() -> Section:
    return Section(
        "Pools",
        [
            listing(
                "Conditions that are not as they should be",
                "What pools say is wrong with them. kubectl describe encp has the message; docs/troubleshooting.md has "
                "a section for each reason, with what to do.",
                Line(wrong_conditions(POOLS), ""),
                columns=("pool_namespace", "pool", "condition", "reason"),
                links={"pool": TO_POOL},
                height=6,
                empty="All conditions are as they should be.",
            ),
            listing(
                "Each pool",
                "Replicas, load and the busiest stage of each pool. Missing over 0: too few serve. Wanted over "
                "desired: too few for the load. Demand well over served: callers are turned away.",
                Line(_of_pools("desired_replicas"), "Desired"),
                Line(_of_pools("ready_replicas"), "Ready"),
                Line(MISSING, "Missing"),
                Line(_of_pools("needed_replicas"), "Wanted by load"),
                Line(_of_pools("demand_patches_per_second"), "Demand, patches/s"),
                Line(_of_pools("served_patches_per_second"), "Served, patches/s"),
                Line(_of_pools("capacity_patches_per_second"), "Capacity, patches/s"),
                Line(_of_pools("pending_patches"), "Waiting, patches"),
                Line(BUSIEST, "Busy"),
                columns=("pool_namespace", "pool", "stage"),
                units={"Busy": "percentunit"},
                steps={"Missing": {1: FAIR}, "Busy": {0.8: FAIR, 0.95: BAD}},
                links={"pool": TO_POOL},
            ),
        ],
    )


def _load() -> Section:
    by = "namespace, pool"
    turned_away = total("encoder_rejected_items_total", ENCODERS, TURNED_AWAY, by=by)
    return Section(
        "Load",
        [
            graph(
                "Demand against served",
                "Patches a second asked for, the refused included, and delivered, of all chosen pools. A gap is work "
                "that nobody did: see which pool turns items away, and whether it may scale.",
                "short",
                Line(total("encoder_offered_patches_total", ENCODERS), "asked for"),
                Line(total("encoder_served_patches_total", ENCODERS), "served"),
            ),
            graph(
                "Items turned away, by pool",
                "Share of a pool's items that it did not encode for a cause of its own. Lasting: raise maxReplicas or "
                "replicas, or look in the pool for the stage that is the bottleneck.",
                "percentunit",
                Line(share(turned_away, total("encoder_items_total", ENCODERS, by=by)), ENCODERS_NAMED),
                most=1,
            ),
            graph(
                "Demand, by pool",
                "Patches a second that each pool is asked for. A jump without a cause on your side may be callers that "
                "try again and again what was refused.",
                "short",
                Line(total("encoder_offered_patches_total", ENCODERS, by=by), ENCODERS_NAMED),
            ),
            graph(
                "Busiest stage, by pool",
                "Share of worker time in use at the stage that has least to spare, mean of a pool's replicas. Near 1 "
                "it is the bottleneck, and the pool is full.",
                "percentunit",
                Line(
                    f"max by ({by}) (avg by ({by}, stage) (encoder_stage_busy_ratio{{{ENCODERS}, {WORK}}}))",
                    ENCODERS_NAMED,
                ),
                most=1,
            ),
        ],
    )


def _replicas() -> Section:
    needed, desired = _of_pools("needed_replicas"), _of_pools("desired_replicas")
    return Section(
        "Replicas",
        [
            graph(
                "Replicas missing, by pool",
                "Replicas that shall be, less those that serve. If it lasts longer than loading the model takes, the "
                "pool's conditions Schedulable and Healthy say why.",
                "none",
                Line(MISSING, NAMED),
            ),
            graph(
                "What the load asks for, less what shall be",
                "Over 0: more replicas are wanted than the pool has; under 0: fewer would do. With mode Auto it goes "
                "back to 0 by itself, unless maxReplicas or behavior holds it; with Advise it is for you to act.",
                "none",
                Line(f"{needed} - {desired}", NAMED),
                least=None,
            ),
        ],
    )


def fleet() -> Dashboard:
    """The dashboard."""
    return board(
        FLEET,
        "All pools: who lacks replicas, who turns work away, whose conditions are wrong. Look here first.",
        [_now(), _pools(), _load(), _replicas()],
        shown=("namespace", "pool"),
    )
