"""Words of PromQL that several dashboards use. Pure.

The operator names a pool by `pool_namespace` and `pool`; series of encoders have `namespace`, `pool` and `pod`, as
whoever scrapes them adds these. Both are narrowed by the same variables.
"""

POOLS = 'pool_namespace=~"$namespace", pool=~"$pool"'
"""Series of the operator, of the chosen pools."""
ENCODERS = 'namespace=~"$namespace", pool=~"$pool"'
"""Series of encoders, of the chosen pools."""
REPLICA = f'{ENCODERS}, pod=~"$replica"'
"""Series of one encoder."""
LOADED = 'fingerprint!=""'
"""Encoders that have read their weights: before, nobody can tell what they are."""
OPERATORS = ""
"""The operator's own series, which have no pool to choose by."""

WORK = 'stage!~"fetch|inspect"'
"""Stages that compute. The others wait for sockets, and have workers to spare."""
TURNED_AWAY = 'reason=~"busy|expired|internal"'
"""Items that were not encoded for a cause of the pool's own: full, too slow, or broken."""


def series(metric: str, where: str, *more: str) -> str:
    """Series that are chosen by their labels; all, where none is named."""
    chosen = ", ".join(filter(None, (where, *more)))
    return f"{metric}{{{chosen}}}" if chosen else metric


def rate(metric: str, where: str, *more: str) -> str:
    """Growth a second of a counter."""
    return f"rate({series(metric, where, *more)}[$__rate_interval])"


def total(metric: str, where: str, *more: str, by: str = "") -> str:
    """Growth a second of a counter, summed over all but the labels `by`."""
    return f"{_over('sum', by)} ({rate(metric, where, *more)})"


def gauge(metric: str, where: str, *more: str, by: str = "", how: str = "sum") -> str:
    """A gauge, put together over all but the labels `by`."""
    return f"{_over(how, by)} ({series(metric, where, *more)})"


def quantile(part: float, metric: str, where: str, *more: str, by: str = "") -> str:
    """A quantile of a histogram, by some labels."""
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({part}, {total(f'{metric}_bucket', where, *more, by=labels)})"


def mean(metric: str, where: str, *more: str, by: str = "") -> str:
    """The mean of a histogram, by some labels."""
    return f"{total(f'{metric}_sum', where, *more, by=by)} / {total(f'{metric}_count', where, *more, by=by)}"


def share(part: str, whole: str) -> str:
    """`part` of `whole`; nothing where there is no whole."""
    return f"{part} / ({whole} > 0)"


def wrong_conditions(where: str) -> str:
    """Conditions of pools that are not as they should be; two of them are False where nothing is wrong, too."""
    name = "encoderfleet_pool_condition"
    found = " or ".join(
        (
            f'{name}{{{where}, condition!~"Progressing|ScalingActive"}} == 0',
            f'{name}{{{where}, condition="Progressing", reason!~"Complete|Paused"}} == 0',
            f'{name}{{{where}, condition="ScalingActive", reason!~"Off|Advise|Paused|ScalingDisabled"}} == 0',
        )
    )
    return f"max by (pool_namespace, pool, condition, reason) ({found})"


def _over(how: str, by: str) -> str:
    return f"{how} by ({by})" if by else how
