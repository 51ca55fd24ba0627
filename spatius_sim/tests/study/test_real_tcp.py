"""The model against the kernel's TCP: one network and one policy; `validate.py` plays all of them."""

import os

import numpy as np
import pytest

from spatius_sim.tests.study.real_link import why_not
from spatius_sim.tests.study.validate import play_pairs


def test_the_first_motion_comes_when_real_tcp_brings_it() -> None:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    _, _, pairs = play_pairs((os.getpid() % 50, "lte-tmobile-driving", "binary, as it comes", 3))
    # Two of three, at twice what the table takes: a busy machine may delay one turn.
    assert np.median([pair.error for pair in pairs]) <= 2
    assert all(pair.real > 0 for pair in pairs)
