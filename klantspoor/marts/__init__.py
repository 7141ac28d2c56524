"""The marts: the aggregates that analysts and pages read."""

from klantspoor.marts.build import MARTS, build
from klantspoor.marts.suppression import noted as suppressed

__all__ = ["MARTS", "build", "suppressed"]
