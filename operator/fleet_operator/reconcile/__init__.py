"""Observe, plan, apply, report. All of it but `reconciler.py`, `writing.py` and `queue.py` is pure."""
