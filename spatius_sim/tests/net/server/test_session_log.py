"""The journal is bounded, and says so."""

from spatius_sim.net.server.session_log import MAX_PAST_SESSIONS, SessionLog, SessionRecord
from spatius_sim.trace.events import Closed, Lane, Opened
from spatius_sim.trace.recorder import NullSink


def opened(journal: SessionLog, name: str) -> None:
    journal.add_session(SessionRecord(name, f"id of {name}", "app", "avatar", 0.0))
    journal.emit(Lane.UPSTREAM, name, Opened())


def test_the_oldest_is_forgotten_first() -> None:
    journal = SessionLog(NullSink(), most_bytes=1000, most_events=6)
    for name in ("a", "b"):
        opened(journal, name)
        journal.record_received(Lane.UPSTREAM, name, b"x" * 10)
        journal.record_sent(Lane.UPSTREAM, name, "y" * 10)
    assert journal.is_whole("a")
    journal.record_received(Lane.UPSTREAM, "b", b"z" * 10)
    assert not journal.is_whole("a")
    assert journal.is_whole("b")
    journal.record_received(Lane.UPSTREAM, "b", b"z" * 1000)
    assert [entry.content for entry in journal.session_events("b")] == [b"z" * 1000]


def test_nearly_all_that_it_may_hold_is_held() -> None:
    journal = SessionLog(NullSink(), most_bytes=64_000, most_events=500)
    opened(journal, "a")
    for size, most in ((10, 500), (1000, 64)):
        for _ in range(2000):
            journal.record_received(Lane.UPSTREAM, "a", b"x" * size)
            journal.record_sent(Lane.UPSTREAM, "a", b"y" * size)
            journal.emit(Lane.KIT, "a", Opened())
        frames = [entry.content for entry in journal.session_events("a") if entry.content != Opened()]
        events = len(list(journal.session_events("a")))
        assert most * 14 // 16 <= (events if size == 10 else len(frames)) <= most * 17 // 16
        assert frames[-2:] == [b"x" * size, b"y" * size]


def test_past_sessions_are_found_by_both_their_names_and_bounded() -> None:
    journal = SessionLog(NullSink())
    for number in range(MAX_PAST_SESSIONS + 3):
        opened(journal, f"s{number}")
        journal.end_session(f"s{number}", Closed(False, 1000))
    assert len(journal.past_sessions) == MAX_PAST_SESSIONS
    assert journal.find_session("s0") is None
    newest = journal.find_session(f"id of s{MAX_PAST_SESSIONS + 2}")
    assert newest is not None
    assert newest.close_code == 1000
    journal.forget()
    assert journal.find_session(newest.name) is None
