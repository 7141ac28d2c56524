"""Process mining: models of every journey type, and the reconstructed log for other tools."""

from klantspoor.mining.discover import MiningReport, Model, discover
from klantspoor.mining.export import Exported, Selection, export_ocel, export_xes

__all__ = ["Exported", "MiningReport", "Model", "Selection", "discover", "export_ocel", "export_xes"]
