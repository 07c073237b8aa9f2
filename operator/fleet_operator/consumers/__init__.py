"""Telling SGLang language servers of encoders. What decides is pure; `asking`, `finding` and `registrar` act."""
