"""The judge is judged: every miniature is named by its own rule and by no other."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest

from spatius_sim.dialects import dialect_named
from spatius_sim.kit.background_loop import BackgroundLoop
from spatius_sim.kit.plans import Plan, TurnPlan
from spatius_sim.kit.subjects import (
    Patience,
    RelaySubject,
    ServerSubject,
    canary_key,
)
from spatius_sim.model.miniatures import RELAY_MINIATURES, SERVER_MINIATURES, wrong_answers
from spatius_sim.model.plain_relay import PlainRelay
from spatius_sim.net.miniature_relay import MiniatureRelay
from spatius_sim.net.motion_server import MotionServer
from spatius_sim.net.recorder import Recorder
from spatius_sim.rules.catalogue import RULES, Verdict
from spatius_sim.rules.judge import judge

SEED = 1
PATIENCE = Patience(attach=5.0, settle=0.5)
PLANS = (
    Plan(((TurnPlan(100_000, 6400), TurnPlan(34_000, 3200), TurnPlan(640, 320)),)),
    Plan(((TurnPlan(33_000, 6400),), (TurnPlan(35_000, 3200),))),
)
EXERCISED_BY = {"R-ISOLATION": PLANS[1]}
KILLED: dict[str, dict[str, Verdict]] = {}


@pytest.fixture(scope="module")
def loop() -> Iterator[BackgroundLoop]:
    loop = BackgroundLoop()
    yield loop
    loop.stop()


@pytest.fixture(scope="module", autouse=True)
def kill_matrix(capfd: None = None) -> Iterator[None]:
    yield
    print("\nkill matrix: miniature -> what the judge says (P passed, F failed, - not judged)")
    for miniature, verdicts in KILLED.items():
        marks = "".join("P" if v is Verdict.PASSED else "F" if v is Verdict.FAILED else "-" for v in verdicts.values())
        failed = [rule_id for rule_id, verdict in verdicts.items() if verdict is Verdict.FAILED]
        print(f"  {miniature:20} {marks:14} {', '.join(failed)}")
