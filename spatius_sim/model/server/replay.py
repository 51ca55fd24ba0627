"""What a tape answered, ready to be answered again: turns, and the matching of new requests to them."""

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
    """A frame, or a close with that code where `raw` is empty: so many nanoseconds after the first audio,
    or `after_end`, after the end of the audio."""

    delay_ns: int
    after_end: bool
    raw: bytes = b""
    close_code: int = 0


@dataclass(slots=True)
class TapedTurn:
    """One request on a tape, and all that answered it."""

    sample_rate: int
    first_ns: int
    audio: bytearray = field(default_factory=bytearray)
    end_ns: int | None = None
    replies: list[Reply] = field(default_factory=list)

    def add(self, at_ns: int, raw: bytes = b"", close_code: int = 0) -> None:
        """Something that answered it."""
        since = self.first_ns if self.end_ns is None else self.end_ns
        self.replies.append(Reply(at_ns - since, self.end_ns is not None, raw, close_code))


@dataclass(slots=True)
class RecordedRun:
    """A run on a tape as Motion Server played it: its turns in the order in which they began, and for each
    connection, in order, its connection_id or how it was refused."""

    turns: list[TapedTurn] = field(default_factory=list)
    connections: list[str | Refused] = field(default_factory=list)
    has_speech: bool = True


def script_of(trace: Trace) -> RecordedRun:
    """What Motion Server did in a trace."""
    script = RecordedRun(has_speech=trace.header.speech)
    rates: dict[str, int] = {}
    numbers: dict[str, int] = {}
    turns: dict[tuple[str, str], TapedTurn] = {}
    latest: dict[str, TapedTurn] = {}
    for event in trace.on(Lane.UPSTREAM):
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
    """The first request gets the first turn, whatever it says."""
    AUDIO = "audio"
    """A request gets the turn with the same audio, found when its audio has ended."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A request that the tape does not hold, and where it first differs."""

    reason: str


class Matcher:
    """Finds the turns of a tape for new requests, each turn once."""

    def __init__(self, turns: list[TapedTurn]) -> None:
        self._turns = turns
        self._left = list(range(len(turns)))
        self._asked = 0

    def next(self, sample_rate: int) -> TapedTurn | Mismatch:
        """The next turn in order."""
        self._asked += 1
        if not self._left:
            return Mismatch(f"request {self._asked}: the tape holds {len(self._turns)} requests")
        number = self._left.pop(0)
        return self._at_rate(number, sample_rate)

    def like(self, audio: bytes, sample_rate: int) -> TapedTurn | Mismatch:
        """The first turn left with this audio; else what the nearest one differs in."""
        self._asked += 1
        for number in self._left:
            if self._turns[number].audio == audio:
                self._left.remove(number)
                return self._at_rate(number, sample_rate)
        if not self._left:
            return Mismatch(f"request {self._asked}: all {len(self._turns)} requests of the tape are played")
        nearest = max(self._left, key=lambda number: _alike(self._turns[number].audio, audio))
        return Mismatch(f"request {self._asked}: {self._difference(nearest, audio, sample_rate)}")

    def _at_rate(self, number: int, sample_rate: int) -> TapedTurn | Mismatch:
        turn = self._turns[number]
        if turn.sample_rate == sample_rate:
            return turn
        return Mismatch(f"request {self._asked}: {sample_rate} Hz; on the tape {turn.sample_rate} Hz")

    def _difference(self, number: int, audio: bytes, sample_rate: int) -> str:
        taped = self._turns[number].audio
        place = _alike(taped, audio)
        seconds = place / BYTES_PER_SAMPLE / max(sample_rate, 1)
        nearest = (
            f"the nearest, request {number + 1} of the tape, is alike up to byte {place} ({seconds:.2f} s)"
        )
        if place == min(len(taped), len(audio)):
            return f"{nearest}, and {len(taped)} bytes long, not {len(audio)}"
        return f"{nearest}, where {taped[place]:#04x} was said and not {audio[place]:#04x}"


def _alike(first: bytes | bytearray, second: bytes) -> int:
    """How many bytes two audios have in common from their beginning."""
    shorter = min(len(first), len(second))
    low, high = 0, shorter
    while low < high:
        middle = (low + high + 1) // 2
        if first[:middle] == second[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
