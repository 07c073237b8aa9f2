"""What is chosen at the top of a dashboard. All four have the same variables, so that links carry them on."""

from collections.abc import Collection

from grafana_foundation_sdk.builders.dashboard import Dashboard, DatasourceVariable, QueryVariable
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    VariableHide,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")

_OF_OPERATOR = {
    "namespace": "label_values(encoderfleet_pool_desired_replicas, pool_namespace)",
    "pool": 'label_values(encoderfleet_pool_desired_replicas{pool_namespace=~"$namespace"}, pool)',
}
"""Also pools of which no encoder runs."""
_OF_ENCODERS = {
    "namespace": "label_values(encoder_ready, namespace)",
    "pool": 'label_values(encoder_ready{namespace=~"$namespace"}, pool)',
}
"""Also where no operator is, as on one machine."""
_REPLICA = 'label_values(encoder_ready{namespace=~"$namespace", pool=~"$pool"}, pod)'
_SAID = {
    "namespace": "Namespace of pools, not of the operator.",
    "pool": "Name of an EncoderPool.",
    "replica": "Pod of one encoder; also those that ran in the time that is shown.",
}


def add_variables(board: Dashboard, *, shown: Collection[str], one: Collection[str], encoders: bool = False) -> None:
    """Give a dashboard its variables.

    Args:
        board: The dashboard.
        shown: Those that its panels look at; the others are hidden, and only handed on.
        one: Those of which exactly one value is chosen, in place of several or all.
        encoders: Whether pools are those that have encoders, in place of those that the operator knows.
    """
    board.with_variable(DatasourceVariable("datasource").label("Data source").type("prometheus"))
    for name, query in {**(_OF_ENCODERS if encoders else _OF_OPERATOR), "replica": _REPLICA}.items():
        made = (
            QueryVariable(name)
            .label(name.capitalize())
            .description(_SAID[name])
            .datasource(DATASOURCE)
            .query({"query": query, "refId": "StandardVariableQuery"})
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(VariableSort.NATURAL_ASC)
            .hide(VariableHide.DONT_HIDE if name in shown else VariableHide.HIDE_VARIABLE)
        )
        if name in one:
            made.multi(False).include_all(False)
        else:
            made.multi(True).include_all(True).all_value(".*")
            made.current(VariableOption(selected=True, text=["All"], value=["$__all"]))
        board.with_variable(made)
