"""Reads from a tape what Motion Server answered, and matches new requests to the turns on the tape."""

from dataclasses import dataclass, field
from enum import StrEnum

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE
from spatius_sim.protocol.messages import (
    AudioInput,
    ConfigureSession,
    ConfirmSession,
    MotionResponse,
    ServerError,
)
from spatius_sim.trace.events import Closed, Lane, Received, Refused, Sent, Trace


@dataclass(frozen=True, slots=True)
class Reply:
    """A frame, or a close with `close_code` if `raw` is empty. It comes `delay_ns` nanoseconds after the
    first audio, or if `after_end`, after the end of the audio."""

    delay_ns: int
    after_end: bool
    raw: bytes = b""
    close_code: int = 0


@dataclass(slots=True)
class TapedTurn:
    """One request on a tape, and all replies to it."""

    sample_rate: int
    first_ns: int
    audio: bytearray = field(default_factory=bytearray)
    end_ns: int | None = None
    replies: list[Reply] = field(default_factory=list)

    def add(self, at_ns: int, raw: bytes = b"", close_code: int = 0) -> None:
        """Add a reply to this request."""
        since = self.first_ns if self.end_ns is None else self.end_ns
        self.replies.append(Reply(at_ns - since, self.end_ns is not None, raw, close_code))


@dataclass(slots=True)
class RecordedRun:
    """A run on a tape, as Motion Server played it: the turns in the order in which they began, and for each
    connection, in order, its connection_id or how it was refused."""

    turns: list[TapedTurn] = field(default_factory=list)
    connections: list[str | Refused] = field(default_factory=list)
    has_speech: bool = True


def script_of(trace: Trace) -> RecordedRun:
    """Read from a trace what Motion Server did."""
    script = RecordedRun(has_speech=trace.header.speech)
    rates: dict[str, int] = {}
    numbers: dict[str, int] = {}
    turns: dict[tuple[str, str], TapedTurn] = {}
    latest: dict[str, TapedTurn] = {}
    for event in trace.on_lane(Lane.UPSTREAM):
        name, what = event.connection, event.what
        if isinstance(what, Refused):
            script.connections.append(what)
            continue
        if name not in numbers:
            numbers[name] = len(script.connections)
            script.connections.append("")
        if isinstance(what, Closed) and what.by_kit and name in latest:
            latest[name].add(event.at_ns, close_code=what.code)
        match what.value if isinstance(what, Sent | Received) else None:
            case ConfigureSession(sample_rate=rate):
                rates[name] = rate
            case ConfirmSession(connection_id):
                script.connections[numbers[name]] = connection_id
            case AudioInput(req_id, audio, end):
                if (name, req_id) not in turns:
                    turn = TapedTurn(rates.get(name, 0), event.at_ns)
                    turns[name, req_id] = latest[name] = turn
                    script.turns.append(turn)
                turns[name, req_id].audio += audio
                if end:
                    turns[name, req_id].end_ns = event.at_ns
            case MotionResponse(req_id=req_id) | ServerError(req_id=req_id):
                answered = (what.answers if isinstance(what, Sent) else "") or req_id
                owner = turns.get((name, answered)) or latest.get(name)
                if owner is not None:
                    raw = what.raw if isinstance(what, Sent | Received) else b""
                    owner.add(event.at_ns, raw if isinstance(raw, bytes) else b"")
    return script


class Match(StrEnum):
    """How a request finds its turn on the tape."""

    ORDER = "order"
    """The first request gets the first turn, whatever its audio."""
    AUDIO = "audio"
    """A request gets the turn with the same audio; the turn is found when the audio of the request has
    ended."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Why the tape does not hold a request: where its audio first differs."""

    reason: str


class Matcher:
    """Finds the turn of a tape for each new request; each turn is given once."""

    def __init__(self, turns: list[TapedTurn]) -> None:
        self._turns = turns
        self._left = list(range(len(turns)))
        self._asked = 0

    def next_turn(self, sample_rate: int) -> TapedTurn | Mismatch:
        """Return the next turn in order, or why there is none."""
        self._asked += 1
        if not self._left:
            return Mismatch(f"request {self._asked}: the tape holds {len(self._turns)} requests")
        number = self._left.pop(0)
        return self._check_rate(number, sample_rate)

    def turn_with_audio(self, audio: bytes, sample_rate: int) -> TapedTurn | Mismatch:
        """Return the first turn left with this audio, or how the nearest turn differs."""
        self._asked += 1
        for number in self._left:
            if self._turns[number].audio == audio:
                self._left.remove(number)
                return self._check_rate(number, sample_rate)
        if not self._left:
            return Mismatch(f"request {self._asked}: all {len(self._turns)} requests of the tape are played")
        nearest = max(self._left, key=lambda number: _count_common_bytes(self._turns[number].audio, audio))
        return Mismatch(f"request {self._asked}: {self._describe_difference(nearest, audio, sample_rate)}")

    def _check_rate(self, number: int, sample_rate: int) -> TapedTurn | Mismatch:
        turn = self._turns[number]
        if turn.sample_rate == sample_rate:
            return turn
        return Mismatch(f"request {self._asked}: {sample_rate} Hz; on the tape {turn.sample_rate} Hz")

    def _describe_difference(self, number: int, audio: bytes, sample_rate: int) -> str:
        """Tell how the audio of a request differs from a turn on the tape."""
        taped = self._turns[number].audio
        place = _count_common_bytes(taped, audio)
        seconds = place / BYTES_PER_SAMPLE / max(sample_rate, 1)
        nearest = (
            f"the nearest, request {number + 1} of the tape, is alike up to byte {place} ({seconds:.2f} s)"
        )
        if place == min(len(taped), len(audio)):
            return f"{nearest}, and {len(taped)} bytes long, not {len(audio)}"
        return f"{nearest}, where {taped[place]:#04x} was said and not {audio[place]:#04x}"


def _count_common_bytes(first: bytes | bytearray, second: bytes) -> int:
    """Count the bytes that two audios have in common from their beginning."""
    shorter = min(len(first), len(second))
    low, high = 0, shorter
    while low < high:
        middle = (low + high + 1) // 2
        if first[:middle] == second[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
