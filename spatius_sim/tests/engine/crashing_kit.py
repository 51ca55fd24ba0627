"""Makes the kit crash over what a subject said, if it is imported: as a pytest plugin, or before `verify`."""

import logging
from typing import NoReturn

from spatius_sim.engine.trial import run_scenarios
from spatius_sim.tests.reporting.hostile import ATTACKS, HUGE


def crash(*_: object) -> NoReturn:
    said = "\n".join(ATTACKS).encode("utf-8", "replace").decode()
    logging.getLogger(__name__).error(said)
    raise RuntimeError(f"{said}{HUGE[:100_000]}")


setattr(run_scenarios, "judge", crash)  # noqa: B010
