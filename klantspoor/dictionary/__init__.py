"""The one dictionary: every published column and table, declared once."""

from klantspoor.dictionary.columns import COLUMNS, Column
from klantspoor.dictionary.tables import LAYERS, TABLES, Table

__all__ = ["COLUMNS", "LAYERS", "TABLES", "Column", "Table"]
