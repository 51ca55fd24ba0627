"""A pytest plugin that makes the kit crash over what a subject said."""

from typing import NoReturn

from spatius_sim.engine import trial
from spatius_sim.tests.reporting.hostile import ATTACKS, HUGE


def crash(*_: object) -> NoReturn:
    said = "\n".join(ATTACKS).encode("utf-8", "replace").decode()
    print(said)
    raise RuntimeError(f"{said}{HUGE[:100_000]}")


setattr(trial, "judge", crash)  # noqa: B010
