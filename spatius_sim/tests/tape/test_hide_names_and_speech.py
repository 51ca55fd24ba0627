"""What a tape may hold: no names, no speech, nothing that was not understood. Motion stays byte for byte."""

import json
import tempfile
from base64 import b64decode, b64encode
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.messages import AudioInput, ServerError, UnknownMessage
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.tape.hide_names_and_speech import LARGEST_UNKNOWN_FRAME, EventCleaner
from spatius_sim.tape.tape_values import TapeHeader
from spatius_sim.tape.traces_on_tapes import read_traces, write_traces
from spatius_sim.tests.rules.traces import Dialogue, voice
from spatius_sim.tests.tape.samples import (
    CLEANED,
    KEPT,
    MOTION,
    SPEECH,
    WHATS,
    WIRE,
    received,
    sent,
    trace_of,
)
from spatius_sim.trace.events import (
    Event,
    EventKind,
    Lane,
    Opened,
    Received,
    Refused,
    Sent,
    Trace,
    TurnStarted,
    Undecodable,
)
from spatius_sim.trace.speech_fingerprint import compute_fingerprint, make_noise
from spatius_sim.wires.events import Audio, Motion, Note, NotUnderstood, Speak, Unclear

UP, DOWN = Lane.UPSTREAM, Lane.DOWNSTREAM


def taped(folder: Path, whats: list[tuple[Lane, EventKind]]) -> tuple[bytes, list[EventKind]]:
    path = folder / "a.tape"
    write_traces(path, CLEANED, [trace_of(whats)])
    (trace,) = read_traces(path)
    assert trace.header.speech is False
    return path.read_bytes(), [event.content for event in trace.events]


def test_no_speech_and_no_name_is_on_the_tape(tmp_path: Path) -> None:
    raw, back = taped(tmp_path, WHATS)
    for piece in (SPEECH[:60], b64encode(SPEECH)[:80], b"talking-app", b"grandmother", b64encode(b"abcd")):
        assert piece not in raw
    assert raw.count(MOTION) == 1
    assert Opened("token#1", "app#1", "avatar#1") in back
    assert Refused(404, '{"message":"Avatar not found: avatar#1"}') in back
    noise = make_noise(compute_fingerprint(SPEECH))
    assert TurnStarted(0, noise, 16000) in back
    values = [what.value for what in back if isinstance(what, Sent | Received)]
    assert AudioInput("request", noise, True) in values
    assert Audio(noise, False, "turn-1") in values
    assert Motion((MOTION, MOTION), True, "t") in values


@pytest.mark.parametrize("index", range(len(WHATS)))
def test_what_it_means_is_the_same_but_for_speech(tmp_path: Path, index: int) -> None:
    lane, what = WHATS[index]
    _, (back,) = taped(tmp_path, [(lane, what)])
    assert type(back) is type(what)
    if isinstance(what, Sent | Received) and isinstance(back, Sent | Received):
        assert type(back.value) is type(what.value)
        if isinstance(what.value, Undecodable | NotUnderstood | Unclear | Note | Motion):
            assert back.value == what.value


HIDDEN = "they said this aloud, and nobody else is to read it"


@pytest.mark.parametrize(
    ("lane", "frame"),
    [
        (UP, b"\x08\x03\x22" + HIDDEN.encode()),
        (UP, b"\xff" + HIDDEN.encode() * 10),
        (UP, HIDDEN * 10),
        (UP, encode(UnknownMessage(9)) + b"\x7a\x33" + HIDDEN.encode()),
        (UP, encode(AudioInput("r", SPEECH)) + b"\x7a\xff\x02" + (HIDDEN * 8).encode()[:383]),
        (DOWN, HIDDEN * 10),
        (DOWN, HIDDEN.encode()),
        (DOWN, json.dumps({"type": "transcript", "role": "user", "text": HIDDEN})),
        (DOWN, json.dumps({"type": "unheard", "pcm": list(SPEECH)})),
        (DOWN, json.dumps({"type": "avatar_audio", "audio": "", "also": list(SPEECH)})),
        (DOWN, json.dumps({"type": "avatar_frames", "frames": [b64encode(HIDDEN.encode() * 4).decode()]})),
        (DOWN, json.dumps({"type": "status", "extra": b64encode(SPEECH).decode()})),
    ],
)
def test_what_is_not_understood_is_taken_for_speech(tmp_path: Path, lane: Lane, frame: str | bytes) -> None:
    raw, (back,) = taped(tmp_path, [(lane, received(lane, frame))])
    for piece in (HIDDEN[:20].encode(), b64encode(HIDDEN.encode())[:20], b64encode(SPEECH)[:40]):
        assert piece not in raw
    assert str(list(SPEECH[:8]))[1:-1].encode() not in raw
    assert isinstance(back, Received)
    before = received(lane, frame).value
    if not isinstance(before, AudioInput | Motion | Audio):
        assert back.value == before


def test_with_speech_every_frame_is_kept_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.tape"
    write_traces(path, KEPT, [trace_of(WHATS)])
    (back,) = read_traces(path)
    frames = [what.raw for _, what in WHATS if isinstance(what, Sent | Received)]
    assert [e.content.raw for e in back.events if isinstance(e.content, Sent | Received)] == frames


READY = json.dumps({"type": "ready", "sessionId": "s", "avatar": {"appId": "our-app", "avatarId": "avatar"}})


def test_names_are_learnt_where_they_occur_and_replaced_alike(tmp_path: Path) -> None:
    whats: list[tuple[Lane, EventKind]] = [
        (DOWN, received(DOWN, READY)),
        (UP, Opened("", "our-app", "avatar")),
        (UP, sent(UP, encode(ServerError("c", "r", 3, "avatar of our-app is away, our-apple is not")))),
        (DOWN, received(DOWN, WIRE.write_relay_event(Motion((MOTION,), False, "our-app"))[0])),
        (UP, Opened("", "", "another")),
    ]
    raw, back = taped(tmp_path, whats)
    assert b'our-app"' not in raw and b"our-app " not in raw
    first, opened, error, motion, other = back
    assert isinstance(first, Received) and isinstance(first.raw, str)
    assert json.loads(first.raw)["avatar"] == {"appId": "app#1", "avatarId": "avatar#1"}
    assert opened == Opened("", "app#1", "avatar#1")
    assert isinstance(error, Sent) and isinstance(error.value, ServerError)
    assert error.value.message == "avatar#1 of app#1 is away, our-apple is not"
    assert isinstance(motion, Received) and motion.value == Motion((MOTION,), False, "app#1")
    assert other == Opened("", "", "avatar#2")


def test_a_name_within_base64_spoils_no_payload(tmp_path: Path) -> None:
    name = b64encode(MOTION)[40:44].decode()
    [frame] = WIRE.write_relay_event(Motion((MOTION,)))
    _, back = taped(tmp_path, [(UP, Opened("", name, name)), (DOWN, received(DOWN, frame))])
    assert isinstance(back[1], Received) and back[1].value == Motion((MOTION,))


def both(said: Dialogue, folder: Path) -> tuple[dict[str, Verdict], dict[str, Verdict]]:
    write_traces(folder / "a.tape", CLEANED, [said.trace])
    (back,) = read_traces(folder / "a.tape")

    def verdicts(trace: Trace) -> dict[str, Verdict]:
        return {name: judgement.verdict for name, judgement in judge(trace).items()}

    return verdicts(said.trace), verdicts(back)


@pytest.mark.parametrize("fault", ["none", "lost", "swapped", "recut", "unmarked", "doubled"])
@pytest.mark.parametrize("turns", [1, 2])
def test_a_tape_without_speech_is_never_judged_otherwise(tmp_path: Path, fault: str, turns: int) -> None:
    said = Dialogue()
    said.secret_known("key#1")
    for number in range(turns):
        pcm = said.speaks("ann", number)
        said.audio_up(f"up of ann {number}", f"req of ann {number}", pcm)
        for piece in (pcm[:900], pcm[900:]) if fault == "recut" else (pcm,):
            said.audio_down("ann", piece)
        said.audio_up(f"up of ann {number}", f"req of ann {number}", end=True)
        said.audio_down("ann", last=fault != "unmarked")
        first, second = said.answers("ann", number)
        delivered = {"lost": [first], "swapped": [second, first], "doubled": [first, second, second]}
        for payload in delivered.get(fault, [first, second]):
            said.motion_down("ann", payload, last=payload is second)
        said.ends("ann", number)
    whole, without = both(said, tmp_path)
    for rule_id, verdict in without.items():
        assert verdict in (whole[rule_id], Verdict.UNEXERCISED), rule_id
    assert without["R-AUDIO-COMPLETE"] is Verdict.UNEXERCISED
    assert without["R-MOTION-VERBATIM"] is whole["R-MOTION-VERBATIM"] is Verdict.PASSED


@given(audio=st.binary(min_size=1, max_size=400))
def test_any_audio_keeps_its_frame_whole(audio: bytes) -> None:
    frames: list[tuple[Lane, EventKind]] = [
        (UP, received(UP, encode(AudioInput("request", audio, True, "trace")))),
        (DOWN, received(DOWN, WIRE.write_relay_event(Audio(audio, True, "turn"))[0])),
        (DOWN, sent(DOWN, WIRE.write_client_action(Speak(audio))[0])),
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tape"
        for header in (KEPT, CLEANED):
            write_traces(path, header, [trace_of(frames)])
            (back,) = read_traces(path)
            whats = [event.content for event in back.events]
            values = [what.value for what in whats if isinstance(what, Sent | Received)]
            said = audio if header is KEPT else make_noise(compute_fingerprint(audio))
            assert values == [
                AudioInput("request", said, True, "trace"),
                Audio(said, True, "turn"),
                Speak(said),
            ]


@pytest.mark.parametrize("header", [KEPT, CLEANED], ids=["kept", "cleaned"])
def test_a_tape_is_the_same_if_each_event_is_cleaned_alone(
    header: TapeHeader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most speech takes a short way onto a tape. The long way must write the same bytes."""
    frames = [encode(AudioInput("request", SPEECH[:size], traceparent="t" * 300 * (size > 3000)))
              for size in (0, 10, 64, 1000, 1000, 3200)]  # fmt: skip
    trace = trace_of([*WHATS, *((UP, received(UP, raw)) for raw in frames), (DOWN, received(UP, frames[4]))])
    write_traces(tmp_path / "short.tape", header, [trace])
    plain_pieces: list[bytes] = []

    def take_the_long_way(cleaner: EventCleaner, events: Sequence[Event]) -> list[bytes]:
        plain_pieces.extend(find_trailing_speech(cleaner, events))
        return [b""] * len(events)

    find_trailing_speech = EventCleaner.find_trailing_speech
    monkeypatch.setattr(EventCleaner, "find_trailing_speech", take_the_long_way)
    write_traces(tmp_path / "long.tape", header, [trace])
    assert any(plain_pieces) is (header is CLEANED)
    assert (tmp_path / "short.tape").read_bytes() == (tmp_path / "long.tape").read_bytes()


@pytest.mark.parametrize("size", [LARGEST_UNKNOWN_FRAME, LARGEST_UNKNOWN_FRAME + 1])
@pytest.mark.parametrize("text", [False, True], ids=["binary", "text"])
def test_what_is_not_understood_is_kept_with_the_speech_up_to_a_bound(
    size: int, text: bool, tmp_path: Path
) -> None:
    raw = "?" * size if text else b"\xff" * size
    unknown = Undecodable("no message"), NotUnderstood("no reply")
    path = tmp_path / "a.tape"
    write_traces(path, KEPT, [trace_of([(UP, Received(raw, unknown[0])), (DOWN, Received(raw, unknown[1]))])])
    (back,) = read_traces(path)
    frames = [event.content for event in back.events if isinstance(event.content, Received)]
    is_kept = size <= LARGEST_UNKNOWN_FRAME
    assert [frame.raw == raw for frame in frames] == [is_kept] * 2
    assert is_kept or (path.stat().st_size < 4096 and [frame.value for frame in frames] == list(unknown))


def test_times_are_counted_from_the_first_event(tmp_path: Path) -> None:
    trace = trace_of([WHATS[1], WHATS[18]])
    late = [Event(e.seq, e.at_ns + 10**15, e.lane, e.connection, e.content) for e in trace.events]
    write_traces(tmp_path / "a.tape", CLEANED, [Trace(trace.header, tuple(late))])
    (back,) = read_traces(tmp_path / "a.tape")
    assert [event.at_ns for event in back.events] == [0, 10]


def test_the_parts_of_a_frame_are_joined_as_they_stood(tmp_path: Path) -> None:
    pcm = voice("long", 400)
    frame = f'{{"type":"avatar_audio", "audio":"{b64encode(pcm).decode()}", "isLast":false}}'
    raw, (back,) = taped(tmp_path, [(DOWN, received(DOWN, frame))])
    assert b'", "isLast":false}' in raw
    assert isinstance(back, Received) and isinstance(back.raw, str)
    assert len(back.raw) == len(frame)
    assert len(b64decode(json.loads(back.raw)["audio"])) == len(pcm)
