"""After any sequence of nights the tables are those of the ledger built as a whole: a machine that Hypothesis drives."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.nights.budget import BY_MACHINE
from tests.nights.generate import KINDS, Teller
from tests.nights.history import Step
from tests.nights.shrink import smallest, told
from tests.nights.world import World, hurried


class Nights(RuleBasedStateMachine):
    """Every rule is one kind of thing that happens, with or without a night after it; every night is compared."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.stack.enter_context(hurried())
        self.world = World(Path(self.stack.enter_context(tempfile.TemporaryDirectory())), marts_every=2)
        self.teller = Teller(self.no_dice)
        self.history: list[Step] = []

    def no_dice(self, options: Any) -> Any:
        raise AssertionError("the dice are those of a rule")

    def with_dice(self, data: st.DataObject) -> Teller:
        self.teller.pick = lambda options: data.draw(st.sampled_from(options))
        return self.teller

    def happens(self, *steps: Step) -> None:
        for step in steps:
            self.history.append(step)
            try:
                self.world.do(step)
            except Exception as error:
                raise AssertionError(told(*smallest(tuple(self.history), error))) from error

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        teller = self.with_dice(data)
        self.happens(*teller.begin(), teller.storm(), teller.new(), teller.night(whole=True))

    @rule(data=st.data(), quiet=st.booleans())
    def nothing(self, data: st.DataObject, quiet: bool) -> None:
        self.happens(self.with_dice(data).night(quiet=quiet))

    def teardown(self) -> None:
        try:
            self.world.untouched()
        finally:
            self.stack.close()


def _happening(tell: Callable[[Teller], Step]) -> Callable[..., None]:
    def happening(self: Nights, data: st.DataObject, then_night: bool) -> None:
        teller = self.with_dice(data)
        self.happens(tell(teller))
        if then_night:
            self.happens(teller.night())

    return happening


for _name, _tell in KINDS.items():
    _rule = _happening(_tell)
    _rule.__name__ = _name.replace(" ", "_")
    setattr(Nights, _rule.__name__, rule(data=st.data(), then_night=st.sampled_from((True, True, False)))(_rule))


def test_every_night_is_as_if_all_had_been_built_at_once() -> None:
    run_state_machine_as_test(
        Nights,
        settings=settings(
            max_examples=BY_MACHINE,
            stateful_step_count=4,
            deadline=None,
            # What fails is made smaller by ourselves, for we know what a history is made of.
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
            print_blob=False,
            database=None,
        ),
    )
