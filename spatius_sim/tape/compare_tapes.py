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
from spatius_sim.tape.reader import read_header
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
    end_marks: int = 0
    payloads: list[MotionResponse] = field(default_factory=list)
    other_events: list[str] = field(default_factory=list)


TurnsByConnection = dict[str, dict[str, ComparedTurn]]
"""Maps each connection (`upstream 1`) and each turn on it (`utterance 1`) to its content. The numbers follow
the order on the tape, so that the same names occur on both tapes."""


def compare_tapes(first: Path, second: Path) -> Iterator[str]:
    """Compare two tapes run by run. Yield a line of text for each difference in meaning, and for each run
    that only one tape has. Speech is compared only if both tapes hold it. Raises UsageError if a file is no
    readable tape."""
    compare_speech = read_header(first).has_speech and read_header(second).has_speech
    pairs_of_runs = zip_longest(read_traces(first), read_traces(second))
    for run_number, (first_trace, second_trace) in enumerate(pairs_of_runs, 1):
        if first_trace is None or second_trace is None:
            yield f"run {run_number}: only in {first if second_trace is None else second}"
            continue
        for difference in _compare_connections(
            _collect_turns(first_trace), _collect_turns(second_trace), compare_speech=compare_speech
        ):
            yield f"run {run_number}, {difference}"


def _collect_turns(trace: Trace) -> TurnsByConnection:
    """Collect what each connection of a trace carried, turn by turn, so that two tapes can be compared, and
    return it. The connections of each lane (upstream, downstream, ...) are numbered in the order in which
    they appear. Of the kit's own events only the faults that it caused are compared. Events of a client's
    decoder are left out."""
    turns_by_connection: TurnsByConnection = {}
    name_by_connection: dict[tuple[Lane, str], str] = {}
    turn_numbers: dict[tuple[str, str], int] = {}
    reader_by_connection: dict[str, _CallReader] = {}
    for event in trace.events:
        if event.lane in (Lane.KIT, Lane.DECODER):
            if isinstance(event.content, Injected):
                _add_other(turns_by_connection, "kit", f"fault: {describe_fault(event.content)}")
            continue
        key = (event.lane, event.connection)
        if key not in name_by_connection:
            number = sum(lane is event.lane for lane, _ in name_by_connection) + 1
            name_by_connection[key] = f"{event.lane} {number}"
        connection_name = name_by_connection[key]
        if event.lane is Lane.CLIENT and isinstance(event.content, Sent | Received):
            reader_by_connection.setdefault(connection_name, _CallReader()).add_call_or_answer(
                turns_by_connection.setdefault(connection_name, {}), event.content
            )
        else:
            _add_event(turns_by_connection, connection_name, event, turn_numbers)
    return turns_by_connection


class _CallReader:
    """Reads the calls of a client under test and their answers, to compare them. The conversation ids that
    the client gave become numbers, in their order."""

    def __init__(self) -> None:
        self._conversation_names: dict[str, str] = {}
        self._latest_call = ComparedTurn()

    def add_call_or_answer(self, turns: dict[str, ComparedTurn], frame: Sent | Received) -> None:
        """Add a frame from the tape of a client test to `turns`, which are compared with another tape. A call
        of the kit to its client begins a turn of its own. The client's answer is added to the turn of the
        latest call, and so is an answer that cannot be read."""
        match frame.value:
            case TesteeRequest() as request:
                self._latest_call = self._make_turn(request)
                turns[f"call {len(turns) + 1}"] = self._latest_call
            case TesteeAnswer(_, result, unimplemented, error):
                failure = "is not implemented" if unimplemented else f"throws {error!r}" if error else ""
                self._latest_call.other_events.append(failure or f"answers {self._describe_result(result)}")
            case Undecodable(text):
                self._latest_call.other_events.append(f"not understood: {text}")

    def _make_turn(self, request: TesteeRequest) -> ComparedTurn:
        """Make a turn for comparison from one call to a client under test: the call in words, and its audio
        and motion. A reset makes the client new: forget the conversation ids that it has returned."""
        details = ""
        match request.do:
            case "reset":
                self._conversation_names.clear()
                details = f" {request.sample_rate} Hz {request.mode}"
            case "advance":
                details = f" {request.ms} ms"
            case "yieldFramesData":
                payloads = "no list" if request.frames is None else f"{len(request.frames)} payloads"
                conversation = self._conversation_names.get(request.conversation_id, "an id it never gave")
                details = f" {payloads} for {conversation}"
        call = ComparedTurn(bytearray(request.audio), int(request.end), other_events=[request.do + details])
        for payload in request.frames or ():
            message = read_upstream(payload)
            if isinstance(message, MotionResponse):
                call.payloads.append(message)
            else:
                call.other_events.append(f"{len(payload)} bytes that are no motion ({_hash(payload)})")
        return call

    def _describe_result(self, result: dict[str, Any]) -> str:
        """Return the result of a call to a client under test as JSON text that can be compared. An id of a
        conversation becomes `conversation 1`, `conversation 2`, ..., because each client chooses its own ids.
        The client's name is left out."""
        conversation_id = result.get("conversationId")
        values = {key: value for key, value in result.items() if key not in ("conversationId", "name")}
        if isinstance(conversation_id, str) and conversation_id:
            values["conversation"] = self._conversation_names.setdefault(
                conversation_id, f"conversation {len(self._conversation_names) + 1}"
            )
        elif "conversationId" in result:
            values["conversation"] = conversation_id
        return json.dumps(values, sort_keys=True)


def _add_event(
    turns_by_connection: TurnsByConnection,
    connection: str,
    event: Event,
    turn_numbers: dict[tuple[str, str], int],
) -> None:
    """Add an event of a trace to the turns that are compared. It may be a frame, the refusal of a connection
    or of a token, or the end of an upstream connection; other events are ignored. `turn_numbers` maps a
    connection and a turn id to the number of the turn."""
    match event.content:
        case Refused(status, reason):
            _add_other(turns_by_connection, connection, f"refused with {status} {reason}")
        case TokenRequested(status=status) if status != 200:
            _add_other(turns_by_connection, connection, f"token refused with {status}")
        case Closed(by_kit, code) if event.lane is Lane.UPSTREAM:
            _add_other(
                turns_by_connection,
                connection,
                f"closed by {'the server' if by_kit else 'the client'} with {code}",
            )
        case Sent() | Received():
            _add_frame(turns_by_connection, connection, event.content, turn_numbers)


def _add_frame(
    turns_by_connection: TurnsByConnection,
    connection: str,
    frame: Sent | Received,
    turn_numbers: dict[tuple[str, str], int],
) -> None:
    """Add a frame of a tape to the compared turn that it belongs to, or in words to its connection."""
    match frame.value:
        case ConfigureSession(sample_rate=rate, audio_format=audio_format, egress_type=egress):
            _add_other(
                turns_by_connection,
                connection,
                f"configures {rate} Hz, format {audio_format}, egress {egress}",
            )
        case AudioInput(req_id, audio, end):
            _find_or_add_turn(turns_by_connection, connection, req_id, turn_numbers).audio += audio
            _find_or_add_turn(turns_by_connection, connection, req_id, turn_numbers).end_marks += end
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
            _find_or_add_turn(turns_by_connection, connection, answered, turn_numbers).payloads.append(motion)
        case Interrupt(req_id):
            _find_or_add_turn(turns_by_connection, connection, req_id, turn_numbers).other_events.append(
                "interrupted"
            )
        case Pause(req_id) | Resume(req_id):
            _find_or_add_turn(turns_by_connection, connection, req_id, turn_numbers).other_events.append(
                type(frame.value).__name__
            )
        case PlaybackNews(req_id=req_id, phase=phase):
            _find_or_add_turn(turns_by_connection, connection, req_id, turn_numbers).other_events.append(
                f"playback: phase {phase}"
            )
        case ServerError(req_id=req_id, code=code, message=message) if req_id:
            _find_or_add_turn(turns_by_connection, connection, req_id, turn_numbers).other_events.append(
                f"error {code} {message!r}"
            )
        case ServerError(code=code, message=message):
            _add_other(turns_by_connection, connection, f"error {code} {message!r}")
        case Speak(pcm):
            _find_or_add_turn(turns_by_connection, f"{connection}, spoken", "", turn_numbers).audio += pcm
        case Audio(pcm, last, turn_id):
            _find_or_add_turn(turns_by_connection, connection, turn_id, turn_numbers).audio += pcm
            _find_or_add_turn(turns_by_connection, connection, turn_id, turn_numbers).end_marks += last
        case Motion(payloads, _, turn_id):
            messages = (read_upstream(payload) for payload in payloads)
            motions = [motion for motion in messages if isinstance(motion, MotionResponse)]
            _find_or_add_turn(turns_by_connection, connection, turn_id, turn_numbers).payloads += motions
        case Failed(text) | Interrupted(text):
            _add_other(turns_by_connection, connection, f"{type(frame.value).__name__} {text!r}")
        case NotUnderstood(text) | Undecodable(text):
            _add_other(turns_by_connection, connection, f"not understood: {text}")
        case UnknownMessage(number):
            _add_other(turns_by_connection, connection, f"a message of type {number}")


def _find_or_add_turn(
    turns_by_connection: TurnsByConnection,
    connection: str,
    turn_id: str,
    turn_numbers: dict[tuple[str, str], int],
) -> ComparedTurn:
    """Return the compared turn of this connection that has the request id or turn id `turn_id`. A new id adds
    a turn, with the next number on its connection: by this number (its name is `utterance 1` and so on),
    turns of two tapes are paired."""
    turns = turns_by_connection.setdefault(connection, {})
    if (connection, turn_id) not in turn_numbers:
        turn_numbers[connection, turn_id] = (
            sum(other_connection == connection for other_connection, _ in turn_numbers) + 1
        )
    return turns.setdefault(f"utterance {turn_numbers[connection, turn_id]}", ComparedTurn())


def _add_other(turns_by_connection: TurnsByConnection, connection: str, text: str) -> None:
    """Add, in words, an event that belongs to no turn to what is compared of this connection."""
    turns_by_connection.setdefault(connection, {}).setdefault("around", ComparedTurn()).other_events.append(
        text
    )


def _compare_connections(
    first_tape: TurnsByConnection, second_tape: TurnsByConnection, *, compare_speech: bool
) -> Iterator[str]:
    """Compare one run of two tapes, connection by connection and turn by turn. Yield each difference as a
    line of text, also for a turn that only one tape has. `compare_speech`: both tapes hold speech."""
    for connection in sorted({*first_tape, *second_tape}):
        first_turns, second_turns = first_tape.get(connection, {}), second_tape.get(connection, {})
        for turn_name in sorted({*first_turns, *second_turns}):
            first_turn, second_turn = first_turns.get(turn_name), second_turns.get(turn_name)
            if first_turn is None or second_turn is None:
                yield f"{connection}, {turn_name}: only in the {'second' if first_turn is None else 'first'}"
                continue
            for difference in _compare_turns(first_turn, second_turn, compare_speech=compare_speech):
                yield f"{connection}, {turn_name}: {difference}"


def _compare_turns(first: ComparedTurn, second: ComparedTurn, *, compare_speech: bool) -> Iterator[str]:
    """Compare one turn of two tapes, and yield each difference as a line of text. Compared are its audio, its
    end marks (messages that end the audio), its motion payloads and its other events. The bytes of the audio
    are compared only if `compare_speech` is true; its length always is."""
    if len(first.audio) != len(second.audio):
        yield f"{len(first.audio)} bytes of audio against {len(second.audio)}"
    elif compare_speech and first.audio != second.audio:
        first_index = next(
            index
            for index, (first_byte, second_byte) in enumerate(zip(first.audio, second.audio, strict=True))
            if first_byte != second_byte
        )
        hashes = f"{_hash(first.audio)} against {_hash(second.audio)}"
        yield f"the audio differs from byte {first_index} on ({hashes})"
    if first.end_marks != second.end_marks:
        yield f"{first.end_marks} end marks against {second.end_marks}"
    for payload_number, (first_payload, second_payload) in enumerate(
        zip_longest(first.payloads, second.payloads), 1
    ):
        yield from (
            f"payload {payload_number}: {difference}"
            for difference in _compare_payloads(first_payload, second_payload)
        )
    for first_text, second_text in zip_longest(first.other_events, second.other_events):
        if first_text != second_text:
            yield f"{first_text or 'nothing'} against {second_text or 'nothing'}"


def _compare_payloads(first: MotionResponse | None, second: MotionResponse | None) -> Iterator[str]:
    """Compare a payload of two tapes, and yield each difference as a line of text: in its end mark, or in its
    keyframes. None stands for a payload that one tape lacks."""
    if first is None or second is None:
        yield f"only in the {'second' if first is None else 'first'}"
        return
    if first.end != second.end:
        yield f"end={first.end} against end={second.end}"
    if len(first.keyframes) != len(second.keyframes):
        yield f"{len(first.keyframes)} keyframes against {len(second.keyframes)}"
    elif not np.array_equal(first.keyframes, second.keyframes, equal_nan=True):
        yield _describe_keyframe_difference(first.keyframes, second.keyframes)


def _describe_keyframe_difference(first: Keyframes, second: Keyframes) -> str:
    """Describe the difference between the keyframes of a payload on two tapes: how many keyframes differ, by
    how much, and where the greatest difference is. Both have the same number of keyframes."""
    distances = np.nan_to_num(np.abs(first.astype(np.float64) - second), nan=np.inf)
    keyframe_index, column = np.unravel_index(int(distances.argmax()), distances.shape)
    field_name = next(name for name, columns in FIELDS.items() if columns.start <= column < columns.stop)
    differing_keyframes = int((distances > 0).any(axis=1).sum())
    index_in_field = column - FIELDS[field_name].start
    return (
        f"{differing_keyframes} of {len(first)} keyframes differ, by {distances.mean():.3g} on average and "
        f"{distances.max():.3g} at most (keyframe {keyframe_index}, {field_name}[{index_in_field}])"
    )


def _hash(raw: bytes | bytearray) -> str:
    """Return a short hash of some bytes, for people to compare."""
    return hashlib.blake2b(raw, digest_size=4).hexdigest()
