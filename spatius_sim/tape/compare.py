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
    ServerError,
    UnknownMessage,
)
from spatius_sim.tape.reader import header_of
from spatius_sim.tape.traces import read_traces
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
from spatius_sim.trace.reading import read_upstream
from spatius_sim.wires.events import Audio, Failed, Interrupted, Motion, NotUnderstood, Speak
from spatius_sim.wires.testee import TesteeAnswer, TesteeRequest


@dataclass(slots=True)
class Utterance:
    """The audio of one request, turn or call, the motion that answered it, and other events in words."""

    audio: bytearray = field(default_factory=bytearray)
    ends: int = 0
    payloads: list[MotionResponse] = field(default_factory=list)
    other: list[str] = field(default_factory=list)


Talks = dict[str, dict[str, Utterance]]
"""The utterances of each connection, by a name that both tapes have."""


def differences(first: Path, second: Path) -> Iterator[str]:
    """Yield each difference as a line; nothing if both tapes mean the same. Raises UsageError."""
    with_speech = header_of(first).has_speech and header_of(second).has_speech
    runs = zip_longest(read_traces(first), read_traces(second))
    for number, (one, other) in enumerate(runs, 1):
        if one is None or other is None:
            yield f"run {number}: only in {first if other is None else second}"
            continue
        for line in _compare_talks(
            utterances_by_connection(one), utterances_by_connection(other), with_speech=with_speech
        ):
            yield f"run {number}, {line}"


def utterances_by_connection(trace: Trace) -> Talks:
    """Return the utterances of each connection; the connections of each lane are numbered in order."""
    found: Talks = {}
    numbers: dict[tuple[Lane, str], str] = {}
    turns: dict[tuple[str, str], int] = {}
    calls: dict[str, _Calls] = {}
    for event in trace.events:
        if event.lane in (Lane.KIT, Lane.DECODER):
            if isinstance(event.what, Injected):
                _add_other(found, "kit", f"fault: {describe_fault(event.what)}")
            continue
        key = (event.lane, event.connection)
        if key not in numbers:
            count = sum(lane is event.lane for lane, _ in numbers) + 1
            numbers[key] = f"{event.lane} {count}"
        talk = numbers[key]
        if event.lane is Lane.CLIENT and isinstance(event.what, Sent | Received):
            calls.setdefault(talk, _Calls()).add_call(found.setdefault(talk, {}), event.what)
        else:
            _add_event(found, talk, event, turns)
    return found


class _Calls:
    """Reads the calls of a client under test and their answers; its ids become numbers, in the order in which
    it gave them."""

    def __init__(self) -> None:
        self._conversations: dict[str, str] = {}
        self._call = Utterance()

    def add_call(self, utterances: dict[str, Utterance], what: Sent | Received) -> None:
        """Add a call as a new utterance, or an answer to the utterance of its call."""
        match what.value:
            case TesteeRequest() as request:
                call = self._describe_request(request)
                self._call = utterances[f"call {len(utterances) + 1}"] = call
            case TesteeAnswer(_, result, unimplemented, error):
                failure = "is not implemented" if unimplemented else f"throws {error!r}" if error else ""
                self._call.other.append(failure or f"answers {self._describe_result(result)}")
            case Undecodable(text):
                self._call.other.append(f"not understood: {text}")

    def _describe_request(self, request: TesteeRequest) -> Utterance:
        """Return the utterance of a call: its audio, its motion, and the call in words."""
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
        call = Utterance(bytearray(request.audio), int(request.end), other=[request.do + detail])
        for payload in request.frames or ():
            message = read_upstream(payload)
            if isinstance(message, MotionResponse):
                call.payloads.append(message)
            else:
                call.other.append(f"{len(payload)} bytes that are no motion ({_hash(payload)})")
        return call

    def _describe_result(self, result: dict[str, Any]) -> str:
        """Write a result as JSON, with numbers in place of conversation ids."""
        given = result.get("conversationId")
        rest = {key: value for key, value in result.items() if key not in ("conversationId", "name")}
        if isinstance(given, str) and given:
            rest["conversation"] = self._conversations.setdefault(
                given, f"conversation {len(self._conversations) + 1}"
            )
        elif "conversationId" in result:
            rest["conversation"] = given
        return json.dumps(rest, sort_keys=True)


def _add_event(result: Talks, talk: str, event: Event, turns: dict[tuple[str, str], int]) -> None:
    """Add an event that ends or refuses a connection, or a frame."""
    match event.what:
        case Refused(status, reason):
            _add_other(result, talk, f"refused with {status} {reason}")
        case TokenRequested(status=status) if status != 200:
            _add_other(result, talk, f"token refused with {status}")
        case Closed(by_kit, code) if event.lane is Lane.UPSTREAM:
            _add_other(result, talk, f"closed by {'the server' if by_kit else 'the client'} with {code}")
        case Sent() | Received():
            _add_frame(result, talk, event.what, turns)


def _add_frame(result: Talks, talk: str, what: Sent | Received, turns: dict[tuple[str, str], int]) -> None:
    """Add a frame to the utterance to which it belongs."""
    match what.value:
        case ConfigureSession(sample_rate=rate, audio_format=audio_format, egress_type=egress):
            _add_other(result, talk, f"configures {rate} Hz, format {audio_format}, egress {egress}")
        case AudioInput(req_id, audio, end):
            _utterance_of(result, talk, req_id, turns).audio += audio
            _utterance_of(result, talk, req_id, turns).ends += end
        case MotionResponse(req_id=req_id) as motion:
            answered = (what.answers if isinstance(what, Sent) else "") or req_id
            if (talk, answered) not in turns:
                # A replay with original ids answers with ids that its relay never chose.
                answered = next((name for other, name in reversed(turns) if other == talk), answered)
            _utterance_of(result, talk, answered, turns).payloads.append(motion)
        case Interrupt(req_id):
            _utterance_of(result, talk, req_id, turns).other.append("interrupted")
        case ServerError(req_id=req_id, code=code, message=message) if req_id:
            _utterance_of(result, talk, req_id, turns).other.append(f"error {code} {message!r}")
        case ServerError(code=code, message=message):
            _add_other(result, talk, f"error {code} {message!r}")
        case Speak(pcm):
            _utterance_of(result, f"{talk}, spoken", "", turns).audio += pcm
        case Audio(pcm, last, turn_id):
            _utterance_of(result, talk, turn_id, turns).audio += pcm
            _utterance_of(result, talk, turn_id, turns).ends += last
        case Motion(payloads, _, turn_id):
            read = (read_upstream(payload) for payload in payloads)
            motions = [motion for motion in read if isinstance(motion, MotionResponse)]
            _utterance_of(result, talk, turn_id, turns).payloads += motions
        case Failed(text) | Interrupted(text):
            _add_other(result, talk, f"{type(what.value).__name__} {text!r}")
        case NotUnderstood(text) | Undecodable(text):
            _add_other(result, talk, f"not understood: {text}")
        case UnknownMessage(number):
            _add_other(result, talk, f"a message of type {number}")


def _utterance_of(result: Talks, talk: str, name: str, turns: dict[tuple[str, str], int]) -> Utterance:
    """Return the utterance of a request or turn; its name is its number on this connection."""
    own = result.setdefault(talk, {})
    if (talk, name) not in turns:
        turns[talk, name] = sum(other == talk for other, _ in turns) + 1
    return own.setdefault(f"utterance {turns[talk, name]}", Utterance())


def _add_other(result: Talks, talk: str, what: str) -> None:
    """Add an event in words that belongs to no utterance."""
    result.setdefault(talk, {}).setdefault("around", Utterance()).other.append(what)


def _compare_talks(one: Talks, other: Talks, *, with_speech: bool) -> Iterator[str]:
    """Yield the differences of all connections."""
    for talk in sorted({*one, *other}):
        mine, theirs = one.get(talk, {}), other.get(talk, {})
        for name in sorted({*mine, *theirs}):
            first, second = mine.get(name), theirs.get(name)
            if first is None or second is None:
                yield f"{talk}, {name}: only in the {'second' if first is None else 'first'}"
                continue
            for line in _compare_utterances(first, second, with_speech=with_speech):
                yield f"{talk}, {name}: {line}"


def _compare_utterances(first: Utterance, second: Utterance, *, with_speech: bool) -> Iterator[str]:
    """Yield the differences of two utterances."""
    if len(first.audio) != len(second.audio):
        yield f"{len(first.audio)} bytes of audio against {len(second.audio)}"
    elif with_speech and first.audio != second.audio:
        place = next(
            i for i, pair in enumerate(zip(first.audio, second.audio, strict=True)) if pair[0] != pair[1]
        )
        yield f"the audio differs from byte {place} on ({_hash(first.audio)} against {_hash(second.audio)})"
    if first.ends != second.ends:
        yield f"{first.ends} end marks against {second.ends}"
    for number, (mine, theirs) in enumerate(zip_longest(first.payloads, second.payloads), 1):
        yield from (f"payload {number}: {line}" for line in _compare_payloads(mine, theirs))
    for mine_said, theirs_said in zip_longest(first.other, second.other):
        if mine_said != theirs_said:
            yield f"{mine_said or 'nothing'} against {theirs_said or 'nothing'}"


def _compare_payloads(first: MotionResponse | None, second: MotionResponse | None) -> Iterator[str]:
    """Yield the differences of two payloads."""
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
    """Tell how many keyframes differ, and by how much."""
    apart = np.nan_to_num(np.abs(first.astype(np.float64) - second), nan=np.inf)
    row, column = np.unravel_index(int(apart.argmax()), apart.shape)
    name = next(name for name, columns in FIELDS.items() if columns.start <= column < columns.stop)
    differing = int((apart > 0).any(axis=1).sum())
    return (
        f"{differing} of {len(first)} keyframes differ, by {apart.mean():.3g} on average and "
        f"{apart.max():.3g} at most (keyframe {row}, {name}[{column - FIELDS[name].start}])"
    )


def _hash(audio: bytes | bytearray) -> str:
    return hashlib.blake2b(audio, digest_size=4).hexdigest()
