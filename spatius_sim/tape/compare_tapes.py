"""Compares two tapes by meaning: ids, names, times and the cutting of audio do not count."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from spatius_sim.protocol.keyframes import FIELDS, Keyframes
from spatius_sim.protocol.messages import (
    AudioInput,
    ConfigureSession,
    Interrupt,
    MotionResponse,
    Pause,
    PlaybackNews,
    Resume,
    ServerError,
    UnknownMessage,
)
from spatius_sim.tape.reader import header_of
from spatius_sim.tape.traces_on_tapes import read_traces
from spatius_sim.trace.event_text import describe_fault
from spatius_sim.trace.events import (
    Closed,
    Event,
    Injected,
    Lane,
    Received,
    Refused,
    Sent,
    TokenRequested,
    Trace,
    Undecodable,
)
from spatius_sim.trace.read_frames import read_upstream
from spatius_sim.wires.events import Audio, Failed, Interrupted, Motion, NotUnderstood, Speak
from spatius_sim.wires.testee_messages import TesteeAnswer, TesteeRequest


@dataclass(slots=True)
class ComparedTurn:
    """What one request, turn or call held: its audio, its end marks, the motion that answered, and other
    events in words."""

    audio: bytearray = field(default_factory=bytearray)
    ends: int = 0
    payloads: list[MotionResponse] = field(default_factory=list)
    other: list[str] = field(default_factory=list)


TurnsByConnection = dict[str, dict[str, ComparedTurn]]
"""Maps each connection (`upstream 1`) and each turn on it (`utterance 1`) to its content. The numbers follow
the order on the tape, so that the same names occur on both tapes."""


def differences(first: Path, second: Path) -> Iterator[str]:
    """Compare two tapes, and yield a line for each difference in meaning. Raises UsageError if a file cannot
    be read as a tape."""
    with_speech = header_of(first).has_speech and header_of(second).has_speech
    runs = zip_longest(read_traces(first), read_traces(second))
    for number, (first_trace, second_trace) in enumerate(runs, 1):
        if first_trace is None or second_trace is None:
            yield f"run {number}: only in {first if second_trace is None else second}"
            continue
        for line in _compare_connections(
            turns_by_connection(first_trace), turns_by_connection(second_trace), with_speech=with_speech
        ):
            yield f"run {number}, {line}"


def turns_by_connection(trace: Trace) -> TurnsByConnection:
    """Return what each connection of a trace carried, turn by turn, so that two tapes can be compared. The
    connections of each lane are numbered in order."""
    compared: TurnsByConnection = {}
    names: dict[tuple[Lane, str], str] = {}
    turn_numbers: dict[tuple[str, str], int] = {}
    callers: dict[str, _Calls] = {}
    for event in trace.events:
        if event.lane in (Lane.KIT, Lane.DECODER):
            if isinstance(event.content, Injected):
                _add_other(compared, "kit", f"fault: {describe_fault(event.content)}")
            continue
        key = (event.lane, event.connection)
        if key not in names:
            count = sum(lane is event.lane for lane, _ in names) + 1
            names[key] = f"{event.lane} {count}"
        connection = names[key]
        if event.lane is Lane.CLIENT and isinstance(event.content, Sent | Received):
            callers.setdefault(connection, _Calls()).add_call(
                compared.setdefault(connection, {}), event.content
            )
        else:
            _add_event(compared, connection, event, turn_numbers)
    return compared


class _Calls:
    """Reads the calls of a client under test and their answers, to compare them. The conversation ids that
    the client gave become numbers, in their order."""

    def __init__(self) -> None:
        self._conversations: dict[str, str] = {}
        self._call = ComparedTurn()

    def add_call(self, turns: dict[str, ComparedTurn], frame: Sent | Received) -> None:
        """Add a call to the client under test, which stands on a tape, to the turns that are compared: each
        call is a turn of its own. Add an answer of the client to the turn of its call."""
        match frame.value:
            case TesteeRequest() as request:
                call = self._describe_request(request)
                self._call = turns[f"call {len(turns) + 1}"] = call
            case TesteeAnswer(_, result, unimplemented, error):
                failure = "is not implemented" if unimplemented else f"throws {error!r}" if error else ""
                self._call.other.append(failure or f"answers {self._describe_result(result)}")
            case Undecodable(text):
                self._call.other.append(f"not understood: {text}")

    def _describe_request(self, request: TesteeRequest) -> ComparedTurn:
        """Return a call to the client under test as a turn that can be compared: its audio, its motion, and
        the call in words. At a reset, forget the conversation ids that the client returned before."""
        detail = ""
        match request.do:
            case "reset":
                self._conversations.clear()
                detail = f" {request.sample_rate} Hz {request.mode}"
            case "advance":
                detail = f" {request.ms} ms"
            case "yieldFramesData":
                count = "no list" if request.frames is None else f"{len(request.frames)} payloads"
                detail = (
                    f" {count} for {self._conversations.get(request.conversation_id, 'an id it never gave')}"
                )
        call = ComparedTurn(bytearray(request.audio), int(request.end), other=[request.do + detail])
        for payload in request.frames or ():
            message = read_upstream(payload)
            if isinstance(message, MotionResponse):
                call.payloads.append(message)
            else:
                call.other.append(f"{len(payload)} bytes that are no motion ({_hash(payload)})")
        return call

    def _describe_result(self, result: dict[str, Any]) -> str:
        """Return the result of a call to the client under test as JSON text that can be compared: numbers
        stand in place of conversation ids."""
        conversation_id = result.get("conversationId")
        values = {key: value for key, value in result.items() if key not in ("conversationId", "name")}
        if isinstance(conversation_id, str) and conversation_id:
            values["conversation"] = self._conversations.setdefault(
                conversation_id, f"conversation {len(self._conversations) + 1}"
            )
        elif "conversationId" in result:
            values["conversation"] = conversation_id
        return json.dumps(values, sort_keys=True)


def _add_event(
    compared: TurnsByConnection, connection: str, event: Event, turn_numbers: dict[tuple[str, str], int]
) -> None:
    """Add an event of one tape to the turns that are compared: a frame, the refusal of a connection or a
    token, or the end of an upstream connection. Other events are not compared."""
    match event.content:
        case Refused(status, reason):
            _add_other(compared, connection, f"refused with {status} {reason}")
        case TokenRequested(status=status) if status != 200:
            _add_other(compared, connection, f"token refused with {status}")
        case Closed(by_kit, code) if event.lane is Lane.UPSTREAM:
            _add_other(
                compared, connection, f"closed by {'the server' if by_kit else 'the client'} with {code}"
            )
        case Sent() | Received():
            _add_frame(compared, connection, event.content, turn_numbers)


def _add_frame(
    compared: TurnsByConnection,
    connection: str,
    frame: Sent | Received,
    turn_numbers: dict[tuple[str, str], int],
) -> None:
    """Add a frame of a tape to the compared turn that it belongs to, or in words to its connection."""
    match frame.value:
        case ConfigureSession(sample_rate=rate, audio_format=audio_format, egress_type=egress):
            _add_other(compared, connection, f"configures {rate} Hz, format {audio_format}, egress {egress}")
        case AudioInput(req_id, audio, end):
            _turn_of(compared, connection, req_id, turn_numbers).audio += audio
            _turn_of(compared, connection, req_id, turn_numbers).ends += end
        case MotionResponse(req_id=req_id) as motion:
            answered = (frame.answers if isinstance(frame, Sent) else "") or req_id
            if (connection, answered) not in turn_numbers:
                # A replay with original ids answers with ids that its relay never chose.
                answered = next(
                    (
                        name
                        for other_connection, name in reversed(turn_numbers)
                        if other_connection == connection
                    ),
                    answered,
                )
            _turn_of(compared, connection, answered, turn_numbers).payloads.append(motion)
        case Interrupt(req_id):
            _turn_of(compared, connection, req_id, turn_numbers).other.append("interrupted")
        case Pause(req_id) | Resume(req_id):
            _turn_of(compared, connection, req_id, turn_numbers).other.append(type(frame.value).__name__)
        case PlaybackNews(req_id=req_id, phase=phase):
            _turn_of(compared, connection, req_id, turn_numbers).other.append(f"playback: phase {phase}")
        case ServerError(req_id=req_id, code=code, message=message) if req_id:
            _turn_of(compared, connection, req_id, turn_numbers).other.append(f"error {code} {message!r}")
        case ServerError(code=code, message=message):
            _add_other(compared, connection, f"error {code} {message!r}")
        case Speak(pcm):
            _turn_of(compared, f"{connection}, spoken", "", turn_numbers).audio += pcm
        case Audio(pcm, last, turn_id):
            _turn_of(compared, connection, turn_id, turn_numbers).audio += pcm
            _turn_of(compared, connection, turn_id, turn_numbers).ends += last
        case Motion(payloads, _, turn_id):
            messages = (read_upstream(payload) for payload in payloads)
            motions = [motion for motion in messages if isinstance(motion, MotionResponse)]
            _turn_of(compared, connection, turn_id, turn_numbers).payloads += motions
        case Failed(text) | Interrupted(text):
            _add_other(compared, connection, f"{type(frame.value).__name__} {text!r}")
        case NotUnderstood(text) | Undecodable(text):
            _add_other(compared, connection, f"not understood: {text}")
        case UnknownMessage(number):
            _add_other(compared, connection, f"a message of type {number}")


def _turn_of(
    compared: TurnsByConnection, connection: str, name: str, turn_numbers: dict[tuple[str, str], int]
) -> ComparedTurn:
    """Return the compared turn on this connection that has the request id or turn id `name`. If the id is
    new, the turn gets the next number on its connection, by which it is found on the other tape."""
    own_turns = compared.setdefault(connection, {})
    if (connection, name) not in turn_numbers:
        turn_numbers[connection, name] = (
            sum(other_connection == connection for other_connection, _ in turn_numbers) + 1
        )
    return own_turns.setdefault(f"utterance {turn_numbers[connection, name]}", ComparedTurn())


def _add_other(compared: TurnsByConnection, connection: str, text: str) -> None:
    """Add, in words, an event that belongs to no turn to what is compared of this connection."""
    compared.setdefault(connection, {}).setdefault("around", ComparedTurn()).other.append(text)


def _compare_connections(
    first: TurnsByConnection, second: TurnsByConnection, *, with_speech: bool
) -> Iterator[str]:
    """Compare the turns of two tapes, connection by connection, and yield each difference as a line of text.
    `with_speech`: both tapes hold speech, so that it can be compared."""
    for connection in sorted({*first, *second}):
        first_turns, second_turns = first.get(connection, {}), second.get(connection, {})
        for name in sorted({*first_turns, *second_turns}):
            first_turn, second_turn = first_turns.get(name), second_turns.get(name)
            if first_turn is None or second_turn is None:
                yield f"{connection}, {name}: only in the {'second' if first_turn is None else 'first'}"
                continue
            for line in _compare_turns(first_turn, second_turn, with_speech=with_speech):
                yield f"{connection}, {name}: {line}"


def _compare_turns(first: ComparedTurn, second: ComparedTurn, *, with_speech: bool) -> Iterator[str]:
    """Compare one turn on two tapes, and yield each difference as a line. The bytes of the audio are compared
    only if `with_speech` is true."""
    if len(first.audio) != len(second.audio):
        yield f"{len(first.audio)} bytes of audio against {len(second.audio)}"
    elif with_speech and first.audio != second.audio:
        start = next(
            index
            for index, pair in enumerate(zip(first.audio, second.audio, strict=True))
            if pair[0] != pair[1]
        )
        yield f"the audio differs from byte {start} on ({_hash(first.audio)} against {_hash(second.audio)})"
    if first.ends != second.ends:
        yield f"{first.ends} end marks against {second.ends}"
    for number, (first_payload, second_payload) in enumerate(zip_longest(first.payloads, second.payloads), 1):
        yield from (f"payload {number}: {line}" for line in _compare_payloads(first_payload, second_payload))
    for first_text, second_text in zip_longest(first.other, second.other):
        if first_text != second_text:
            yield f"{first_text or 'nothing'} against {second_text or 'nothing'}"


def _compare_payloads(first: MotionResponse | None, second: MotionResponse | None) -> Iterator[str]:
    """Compare a payload on two tapes, and yield the differences as lines; None stands for a missing
    payload."""
    if first is None or second is None:
        yield f"only in the {'second' if first is None else 'first'}"
        return
    if first.end != second.end:
        yield f"end={first.end} against end={second.end}"
    if len(first.keyframes) != len(second.keyframes):
        yield f"{len(first.keyframes)} keyframes against {len(second.keyframes)}"
    elif not np.array_equal(first.keyframes, second.keyframes, equal_nan=True):
        yield _compare_keyframes(first.keyframes, second.keyframes)


def _compare_keyframes(first: Keyframes, second: Keyframes) -> str:
    """Compare the keyframes of a payload on two tapes, and return in words how many keyframes differ, and by
    how much."""
    distances = np.nan_to_num(np.abs(first.astype(np.float64) - second), nan=np.inf)
    row, column = np.unravel_index(int(distances.argmax()), distances.shape)
    name = next(name for name, columns in FIELDS.items() if columns.start <= column < columns.stop)
    differing_keyframes = int((distances > 0).any(axis=1).sum())
    return (
        f"{differing_keyframes} of {len(first)} keyframes differ, by {distances.mean():.3g} on average and "
        f"{distances.max():.3g} at most (keyframe {row}, {name}[{column - FIELDS[name].start}])"
    )


def _hash(raw: bytes | bytearray) -> str:
    """Return a short hash of some bytes, for people to compare."""
    return hashlib.blake2b(raw, digest_size=4).hexdigest()
