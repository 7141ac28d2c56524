"""Columns of pseudonyms hashed on with the keys that are new: whole columns, in every form in which the lake keeps them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from klantspoor.errors import LakeError
from klantspoor.intake.identifiers import DIGITS
from klantspoor.intake.ledger import IDENTIFIERS
from klantspoor.intake.pseudonyms import MARK, Pseudonymiser

_PSEUDONYM = f"[0-9a-f]{{{DIGITS}}}"
_VALUE = f':"{MARK}'
"""Where a marked value begins in JSON text: a quote within another value would have a backslash before it."""


class Columns:
    """Hashes pseudonyms on that were made with the first `done` keys of the pseudonymiser."""

    def __init__(self, pseudonymiser: Pseudonymiser, done: int) -> None:
        self._pseudonymiser = pseudonymiser
        self._done = done

    def bare(self, values: pa.Array) -> pa.Array:
        """Pseudonyms (n) that stand alone in their column; null stays null.

        Raises:
            LakeError: one is none. Hashed on, it would be lost without a trace.
        """
        if pc.any(pc.invert(pc.match_substring_regex(values, "^[0-9a-f]{16,24}$"))).as_py():
            raise LakeError("the lake holds something else where a pseudonym is expected: restore it from a back-up")
        return self._pseudonymiser.rotated(values, self._done)

    def ids(self, values: pa.Array) -> pa.Array:
        """Ids (n) of which the marked ones are pseudonyms; a source of several events per row numbers them after a "#"."""
        return self._within(values, f"^{MARK}{_PSEUDONYM}(#[0-9]+)?$", len(MARK))

    def attributes(self, values: pa.Array) -> pa.Array:
        """JSON objects of texts (n), of which the marked ones are pseudonyms; all else keeps its very characters."""
        marked = pc.fill_null(pc.match_substring(values, _VALUE), False)
        parts = pc.split_pattern(values.filter(marked), _VALUE)
        if len(parts) == 0:
            return values
        made = self._within(parts.flatten(), f'^{_PSEUDONYM}"', 0)
        return pc.replace_with_mask(values, marked, pc.binary_join(_lists(parts, made), _VALUE))

    def identifiers(self, lists: pa.ListArray) -> pa.ListArray:
        """Sets of identifiers (n), each in its order."""
        flat = lists.flatten()
        parts = [flat.field("type"), self.bare(flat.field("identifier")), flat.field("guard")]
        return _lists(lists, pa.StructArray.from_arrays(parts, names=["type", "identifier", "guard"])).cast(IDENTIFIERS)

    def _within(self, texts: pa.Array, pattern: str, at: int) -> pa.Array:
        """Texts (n) of which those that fit the pattern have a pseudonym from character `at` on."""
        fits = pc.match_substring_regex(texts, pattern)
        digits = pc.utf8_slice_codeunits(texts, at, at + DIGITS)
        made = self.bare(pc.if_else(fits, digits, pa.scalar(None, pa.string())))
        before, after = pc.utf8_slice_codeunits(texts, 0, at), pc.utf8_slice_codeunits(texts, at + DIGITS)
        return pc.if_else(fits, pc.binary_join_element_wise(before, made, after, ""), texts)


def _lists(like: pa.ListArray, flat: pa.Array) -> pa.ListArray:
    """Lists as long as those of `like` (without nulls), of other elements."""
    offsets = np.concatenate([[0], np.cumsum(like.value_lengths().to_numpy())]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), flat)
