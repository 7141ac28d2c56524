"""The examples of docs/waits.md against the kernel: every stretch, and the drawing of it."""

from __future__ import annotations

import pytest
import wait_examples
from documents import sections, tables, text

EXAMPLES = {title: body for title, body in sections(text("waits.md")).items() if title[0].isdigit()}


@pytest.mark.parametrize("title", EXAMPLES)
def test_the_stretches_are_the_kernels(title: str) -> None:
    example = wait_examples.read(EXAMPLES[title])
    assert example.stretches == wait_examples.as_rows(wait_examples.run(example))


@pytest.mark.parametrize("title", EXAMPLES)
def test_the_drawing_shows_them(title: str) -> None:
    example = wait_examples.read(EXAMPLES[title])
    assert example.drawing == wait_examples.draw(example, wait_examples.run(example))


def test_the_examples_are_read_and_show_every_turn_and_cause() -> None:
    rows = [row for body in EXAMPLES.values() for row in tables(body)[1]]
    assert len(EXAMPLES) >= 8
    assert {row["turn"] for row in rows} == {"organisation", "partner", "customer", "nobody", "undetermined"}
    assert {"working", "closed", "handover", "queueing", "unexplained"} <= {row["cause"] for row in rows}
