"""Who is who: deterministic links between identifiers, guards before components, every decision audited."""

from klantspoor.identity.resolve import IdentityReport, resolve

__all__ = ["IdentityReport", "resolve"]
