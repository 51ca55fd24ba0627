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
    """A frame `raw` of Motion Server; if `raw` is empty, a close with `close_code`. The delay `delay_ns` is
    counted from the end of the request's audio if `after_end`, otherwise from its first audio."""

    delay_ns: int
    after_end: bool
    raw: bytes = b""
    close_code: int = 0


@dataclass(slots=True)
class TapedTurn:
    """One request on a tape with all its audio, and all replies. `first_ns` and `end_ns` are the times of its
    first audio and of the end of its audio (None: not ended yet)."""

    sample_rate: int
    first_ns: int
    audio: bytearray = field(default_factory=bytearray)
    end_ns: int | None = None
    replies: list[Reply] = field(default_factory=list)

    def add(self, at_ns: int, raw: bytes = b"", close_code: int = 0) -> None:
        """Add a reply of Motion Server to this turn of the tape: the frame `raw`, or a close, which came at
        time `at_ns`."""
        since = self.first_ns if self.end_ns is None else self.end_ns
        self.replies.append(Reply(at_ns - since, self.end_ns is not None, raw, close_code))


@dataclass(slots=True)
class RecordedRun:
    """What Motion Server did in a run on a tape. `turns` are in the order in which they began. `connections`
    has for each connection, in order, its connection_id ("" if never confirmed) or its refusal."""

    turns: list[TapedTurn] = field(default_factory=list)
    connections: list[str | Refused] = field(default_factory=list)
    has_speech: bool = True


def read_recorded_run(trace: Trace) -> RecordedRun:
    """Read from the trace of a tape what Motion Server did: return its connections, and its replies to each
    request."""
    run = RecordedRun(has_speech=trace.header.speech)
    rates: dict[str, int] = {}
    numbers: dict[str, int] = {}
    turns: dict[tuple[str, str], TapedTurn] = {}
    newest_turns: dict[str, TapedTurn] = {}
    for event in trace.on_lane(Lane.UPSTREAM):
        name, content = event.connection, event.content
        if isinstance(content, Refused):
            run.connections.append(content)
            continue
        if name not in numbers:
            numbers[name] = len(run.connections)
            run.connections.append("")
        if isinstance(content, Closed) and content.by_kit and name in newest_turns:
            newest_turns[name].add(event.at_ns, close_code=content.code)
        match content.value if isinstance(content, Sent | Received) else None:
            case ConfigureSession(sample_rate=rate):
                rates[name] = rate
            case ConfirmSession(connection_id):
                run.connections[numbers[name]] = connection_id
            case AudioInput(req_id, audio, end):
                if (name, req_id) not in turns:
                    turn = TapedTurn(rates.get(name, 0), event.at_ns)
                    turns[name, req_id] = newest_turns[name] = turn
                    run.turns.append(turn)
                turns[name, req_id].audio += audio
                if end:
                    turns[name, req_id].end_ns = event.at_ns
            case MotionResponse(req_id=req_id) | ServerError(req_id=req_id):
                answered_req_id = (content.answers if isinstance(content, Sent) else "") or req_id
                answered_turn = turns.get((name, answered_req_id)) or newest_turns.get(name)
                if answered_turn is not None:
                    raw = content.raw if isinstance(content, Sent | Received) else b""
                    answered_turn.add(event.at_ns, raw if isinstance(raw, bytes) else b"")
    return run


class Match(StrEnum):
    """How a request finds its turn on the tape."""

    ORDER = "order"
    """The first request gets the first turn, whatever its audio."""
    AUDIO = "audio"
    """A request gets the turn with the same audio; the turn is found when the audio of the request has
    ended."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """No turn on the tape matches a request; `reason` says why, for example where the audio differs."""

    reason: str


class Matcher:
    """Finds the turn of a tape that answers a new request; each turn answers only one request."""

    def __init__(self, turns: list[TapedTurn]) -> None:
        """Keep the turns of a tape (a recording of Motion Server's answers), to match new requests with them.
        No turn is used yet."""
        self._turns = turns
        self._unused_indexes = list(range(len(turns)))
        """The indexes of the turns that have answered no request yet."""
        self._request_count = 0

    def take_next_turn(self, sample_rate: int) -> TapedTurn | Mismatch:
        """Return the first unused turn of the tape for a new request, and mark the turn as used. Return a
        Mismatch if no turn is left, or if the turn has another sample rate than the request."""
        self._request_count += 1
        if not self._unused_indexes:
            return Mismatch(f"request {self._request_count}: the tape holds {len(self._turns)} requests")
        index = self._unused_indexes.pop(0)
        return self._check_sample_rate(index, sample_rate)

    def take_turn_with_audio(self, audio: bytes, sample_rate: int) -> TapedTurn | Mismatch:
        """Return the first unused turn of the tape that has the audio of a new request, and mark the turn as
        used. Return a Mismatch if no unused turn has this audio, or if the turn has another sample rate. The
        Mismatch says how the audio of the most similar turn differs."""
        self._request_count += 1
        request = f"request {self._request_count}"
        for index in self._unused_indexes:
            if self._turns[index].audio == audio:
                self._unused_indexes.remove(index)
                return self._check_sample_rate(index, sample_rate)
        if not self._unused_indexes:
            return Mismatch(f"{request}: all {len(self._turns)} requests of the tape are played")
        nearest = max(
            self._unused_indexes,
            key=lambda index: _count_common_bytes(self._turns[index].audio, audio),
        )
        return Mismatch(f"{request}: {self._describe_difference(nearest, audio, sample_rate)}")

    def _check_sample_rate(self, index: int, sample_rate: int) -> TapedTurn | Mismatch:
        """Return the turn of the tape with this index, which was chosen for a new request; a Mismatch if the
        turn has another sample rate than the request."""
        turn = self._turns[index]
        if turn.sample_rate == sample_rate:
            return turn
        return Mismatch(f"request {self._request_count}: {sample_rate} Hz; on the tape {turn.sample_rate} Hz")

    def _describe_difference(self, index: int, audio: bytes, sample_rate: int) -> str:
        """Return words that say how the audio of a new request differs from that of a turn on the tape: at
        which byte the difference begins, or which lengths the two have. `index` is the turn's index."""
        taped = self._turns[index].audio
        common_bytes = _count_common_bytes(taped, audio)
        seconds = common_bytes / BYTES_PER_SAMPLE / max(sample_rate, 1)
        nearest = f"the nearest, request {index + 1} of the tape, is alike"
        common_part = f"{nearest} up to byte {common_bytes} ({seconds:.2f} s)"
        if common_bytes == min(len(taped), len(audio)):
            return f"{common_part}, and {len(taped)} bytes long, not {len(audio)}"
        return f"{common_part}, where {taped[common_bytes]:#04x} was said and not {audio[common_bytes]:#04x}"


def _count_common_bytes(taped: bytes | bytearray, new: bytes) -> int:
    """Return how many bytes the audio of a taped turn and the audio of a new request have in common at their
    beginning."""
    # Binary search: Python compares whole slices faster than single bytes.
    low, high = 0, min(len(taped), len(new))
    while low < high:
        middle = (low + high + 1) // 2
        if taped[:middle] == new[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
