"""The encoder: media in, embeddings out, over bounded stages. See `pipeline.py`."""

from importlib.metadata import version

__version__ = version("encoderfleet")
