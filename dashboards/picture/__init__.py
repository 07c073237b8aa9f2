"""Pictures of the dashboards, with what a Prometheus says, for where no Grafana is.

`python -m dashboards.picture http://127.0.0.1:9090 docs/pictures` asks every query of every panel and draws each
dashboard as a PNG, in the places and units, and near the colours, that Grafana gives it.

What is decided is pure: `window`, `variables`, `places`, `units`, `names`, `lines`, `looks`, `cells`, `spans`.
`asking` and `answers` talk to Prometheus. The rest draws: `canvas`, a module for each kind of panel, and `whole`.
"""
