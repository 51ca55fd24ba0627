"""A tape as a script: what answered what, and how a new request finds its turn."""

from spatius_sim.model.server.match_taped_turns import Matcher, Mismatch, Reply, read_recorded_run
from spatius_sim.tests.rules.traces import TICK_NS, Dialogue, voice
from spatius_sim.trace.events import Refused

ONE, TWO = voice("one"), voice("two", 5000)


def taped() -> Dialogue:
    said = Dialogue()
    said.audio_up("early", "early", ONE)
    said.refused("away", 404, "Avatar not found")
    said.connects("up")
    said.audio_up("up", "a", ONE[:100])
    said.audio_up("up", "a", ONE[100:], end=True)
    said.motion("up", "a", 3)
    said.error("up", "a")
    said.audio_up("up", "b", TWO)
    said.motion("up", "b", 2)
    said.motion("up", "b", 2, answers="b")
    said.motion("nowhere", "c", 2)
    said.client_says_raw("up", "text")
    said.closed("up", by_kit=True)
    said.closed("early", by_kit=False)
    return said


def test_a_trace_becomes_turns_and_connections() -> None:
    script = read_recorded_run(taped().trace)
    assert script.connections == ["", Refused(404, "Avatar not found"), "id of up", ""]
    early, first, second = script.turns
    assert (early.sample_rate, early.replies) == (0, [])
    assert (bytes(first.audio), first.sample_rate) == (ONE, 16000)
    assert [(r.after_end, r.delay_ns, bool(r.raw)) for r in first.replies] == [
        (True, TICK_NS, True),
        (True, 2 * TICK_NS, True),
    ]
    assert [r.after_end for r in second.replies] == [False] * 3
    assert second.replies[-1] == Reply(5 * TICK_NS, False, b"", 1000)


def test_turns_are_found_in_order() -> None:
    matcher = Matcher(read_recorded_run(taped().trace).turns[1:])
    first = matcher.take_next_turn(16000)
    assert not isinstance(first, Mismatch) and bytes(first.audio) == ONE
    assert matcher.take_next_turn(48000) == Mismatch("request 2: 48000 Hz; on the tape 16000 Hz")
    assert matcher.take_next_turn(16000) == Mismatch("request 3: the tape holds 2 requests")


def test_turns_are_found_by_what_is_said() -> None:
    matcher = Matcher(read_recorded_run(taped().trace).turns[1:])
    other = TWO[:3200] + bytes([TWO[3200] ^ 1]) + TWO[3201:]
    told = matcher.take_turn_with_audio(other, 16000)
    assert isinstance(told, Mismatch)
    assert "request 1: the nearest, request 2 of the tape, is alike up to byte 3200 (0.10 s)" in told.reason
    assert f"{TWO[3200]:#04x} was said and not" in told.reason
    second = matcher.take_turn_with_audio(TWO, 16000)
    assert not isinstance(second, Mismatch) and bytes(second.audio) == TWO
    told = matcher.take_turn_with_audio(ONE[:-2], 16000)
    assert isinstance(told, Mismatch) and f"{len(ONE)} bytes long, not {len(ONE) - 2}" in told.reason
    assert not isinstance(matcher.take_turn_with_audio(ONE, 16000), Mismatch)
    assert matcher.take_turn_with_audio(ONE, 16000) == Mismatch(
        "request 5: all 2 requests of the tape are played"
    )
