"""Where the kit itself was late, what took time is judged with care."""

from spatius_sim.rules.findings import Broken, Kept, Late
from spatius_sim.rules.subtract_kit_stalls import judge_time_limit, kit_stall_seconds
from spatius_sim.tests.rules.traces import Dialogue
from spatius_sim.trace.events import (
    Awaited,
    KitStalled,
    Lane,
    WaitEnded,
)

TOO_LATE = Broken("within 2 s", "later", ())


def span(*, quiet: float, lag: float) -> tuple[Dialogue, int, int]:
    """Two events with so many seconds between them, some of which the kit slept away."""
    said = Dialogue()
    since = said.starts("ann", 0, b"")
    said.passes(quiet)
    if lag:
        said.lags(lag)
    return said, since, said.happens(Lane.KIT, "ann", WaitEnded(Awaited.TURN, True, 0))


def judged(quiet: float, lag: float) -> Kept | Broken | Late:
    said, since, until = span(quiet=quiet, lag=lag)
    return judge_time_limit(said.trace, since, until, 2.0, TOO_LATE)


def test_what_came_in_time_is_kept_however_late_the_kit_was() -> None:
    assert judged(1.9, 0.0) == Kept()
    assert judged(0.0, 1.9) == Kept()


def test_what_came_too_late_is_broken_where_the_kit_was_awake_long_enough() -> None:
    assert judged(2.1, 0.0) == TOO_LATE
    assert judged(2.1, 3.0) == TOO_LATE


def test_what_may_have_come_in_time_is_left_open() -> None:
    outcome = judged(1.5, 1.0)
    assert isinstance(outcome, Late)
    assert round(outcome.seconds, 2) == 1.0


def test_only_the_lag_between_the_two_events_counts() -> None:
    said = Dialogue()
    said.lags(5.0)
    since = said.starts("ann", 0, b"")
    said.lags(0.25)
    until = said.ends("ann", 0)
    said.lags(5.0)
    assert round(kit_stall_seconds(said.trace, since, until), 2) == 0.25


def test_a_lag_that_began_before_counts_from_the_first_event_on() -> None:
    said = Dialogue()
    since = said.starts("ann", 0, b"")
    said.passes(1.0)
    said.happens(Lane.KIT, "", KitStalled(3.0))
    until = said.ends("ann", 0)
    assert round(kit_stall_seconds(said.trace, since, until), 2) == 1.0
