"""Observe, plan, apply, report. All of it but `reconciler.py` and `queue.py` is pure."""
