"""Restatements: which published figures a night changed after the fact, and how much of the change has which cause."""

from klantspoor.restatements.build import build

__all__ = ["build"]
