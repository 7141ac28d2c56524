"""The map pages: one self-contained HTML page per journey type, and an index."""

from klantspoor.page.pages import write, write_pages

__all__ = ["write", "write_pages"]
