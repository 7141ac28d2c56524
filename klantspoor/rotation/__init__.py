"""Rotation: a lake made with one chain of keys becomes one made with a longer chain, without any raw value."""

from klantspoor.rotation.rotate import RotationReport, rotate
from klantspoor.rotation.state import KeyState, key_state

__all__ = ["KeyState", "RotationReport", "key_state", "rotate"]
