"""Whether an encoder and a language server mean the same model: what encoder and operator judge alike. Pure.

What only one side says tells nothing, so whatever is unknown is the same as all else.
"""

from fleet_compatibility.backends import risk
from fleet_compatibility.models import other_name, other_size, text_width
from fleet_compatibility.values import differ, dtype, other_revision, printable

__all__ = ["differ", "dtype", "other_name", "other_revision", "other_size", "printable", "risk", "text_width"]
