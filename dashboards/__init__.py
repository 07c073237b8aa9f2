"""Grafana dashboards of encoderfleet, made from Python: `make dashboards` writes them into the chart.

One module a dashboard (`fleet`, `pool`, `encoder`, `operator`); what they share is in `board`, `panels`, `promql` and
`variables`. `queries` reads what is written, and needs none of the others.
"""
