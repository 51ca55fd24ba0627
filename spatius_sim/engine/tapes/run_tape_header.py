"""Makes the header of the tapes that a run writes."""

import time

from spatius_sim import __version__
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE
from spatius_sim.tape.tape_values import TapeHeader


def suite_header(seed: int) -> TapeHeader:
    """Return the header of a tape that a run writes. Speech stays on such a tape: it is made from the seed,
    and is not a person's voice."""
    redactions = ("secrets", "names")
    return TapeHeader("suite", int(time.time() * 1000), __version__, seed, (PLAN_SAMPLE_RATE,), redactions)
