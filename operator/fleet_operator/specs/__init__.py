"""Builders of Kubernetes objects: a plan in, plain mappings out. No client, no decisions; one module a kind."""
