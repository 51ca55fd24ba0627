"""Says each turn at a Motion Server in one line when it ends: who, how long, first motion after, end."""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic_ns

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, KEYFRAMES_PER_SECOND
from spatius_sim.protocol.messages import AudioInput, ConfigureSession, Interrupt, MotionResponse, ServerError
from spatius_sim.reporting.make_text_harmless import harmless_line
from spatius_sim.trace.events import Closed, EventKind, Lane
from spatius_sim.trace.read_frames import read_upstream
from spatius_sim.trace.recorder import NullSink

_LONGEST_NAME = 40
_LONGEST_ERROR = 120
MAX_OPEN_TURNS = 10_000
"""More open turns are not followed, so that memory stays bounded."""


@dataclass(slots=True)
class _Turn:
    """One request that is open: when it began, its audio at `rate` Hz, and the motion that came for it."""

    began_ns: int
    rate: int
    audio_bytes: int = 0
    first_motion_ns: int = 0
    keyframes: int = 0


class TurnLines:
    """Follows the messages of all sessions, and says each turn in one line when it ends."""

    def __init__(self) -> None:
        self._rates: dict[str, int] = {}
        self._turns: dict[tuple[str, str], _Turn] = {}

    def lines_of_ended_turns(self, at_ns: int, connection: str, value: object) -> list[str]:
        """Take the next message (`value`) on a connection to Motion Server, or its close. Return a line of
        text for each turn that this ends. Control characters in the lines are escaped."""
        if isinstance(value, AudioInput):  # Nearly all messages are audio.
            turn = self._turns.get((connection, value.req_id))
            if turn is None and len(self._turns) < MAX_OPEN_TURNS:
                rate = self._rates.get(connection, 0)
                turn = self._turns[connection, value.req_id] = _Turn(at_ns, rate)
            if turn is not None:
                turn.audio_bytes += len(value.audio)
            return []
        match value:
            case ConfigureSession(sample_rate=rate):
                self._rates[connection] = max(0, rate)
            case MotionResponse(req_id=req_id, end=end):
                return self._add_motion(at_ns, connection, req_id, value, end=end)
            case Interrupt(req_id):
                return self._end_turn(at_ns, connection, req_id, "interrupted")
            case ServerError(req_id=req_id, code=code, message=message):
                ending = f"error {code}: {harmless_line(message, _LONGEST_ERROR)}"
                return (
                    self._end_turn(at_ns, connection, req_id, ending)
                    if req_id
                    else self._end_turns_of(at_ns, connection, ending)
                )
            case Closed(by_kit, code):
                self._rates.pop(connection, None)
                side = "Motion Server" if by_kit else "the relay"
                return self._end_turns_of(at_ns, connection, f"cut off: {side} closed with {code}")
        return []

    def _add_motion(
        self, at_ns: int, connection: str, req_id: str, motion: MotionResponse, *, end: bool
    ) -> list[str]:
        """Add a message of motion to its turn. If it is the last (`end`), end the turn and return its line in
        a list. Otherwise, or if the turn is not known, return an empty list."""
        turn = self._turns.get((connection, req_id))
        if turn is None:
            return []
        turn.first_motion_ns = turn.first_motion_ns or at_ns
        turn.keyframes += len(motion.keyframes)
        return self._end_turn(at_ns, connection, req_id, "complete") if end else []

    def _end_turns_of(self, at_ns: int, connection: str, ending: str) -> list[str]:
        """End all open turns of a connection, and return a line of text for each. `ending` says in words how
        they ended."""
        open_req_ids = [req_id for turn_connection, req_id in self._turns if turn_connection == connection]
        return [line for req_id in open_req_ids for line in self._end_turn(at_ns, connection, req_id, ending)]

    def _end_turn(self, at_ns: int, connection: str, req_id: str, ending: str) -> list[str]:
        """End a turn at the time `at_ns`: forget it, and return a list with one line of text about it. Return
        an empty list if the turn is not known. `ending` says in words how it ended."""
        turn = self._turns.pop((connection, req_id), None)
        if turn is None:
            return []
        audio_seconds = turn.audio_bytes / BYTES_PER_SAMPLE / turn.rate if turn.rate else 0.0
        wait_seconds = (turn.first_motion_ns - turn.began_ns) / 1e9
        motion = f"first motion after {wait_seconds:.2f} s" if turn.first_motion_ns else "no motion"
        who = f"{harmless_line(connection, _LONGEST_NAME)} {harmless_line(req_id, _LONGEST_NAME)}"
        motion_length = f"{turn.keyframes / KEYFRAMES_PER_SECOND:.1f} s of motion"
        turn_seconds = (at_ns - turn.began_ns) / 1e9
        end = f"{ending} after {turn_seconds:.2f} s"
        return [f"turn {who}: {audio_seconds:.1f} s of audio, {motion}, {motion_length}, {end}"]


class TurnSink(NullSink):
    """Follows the turns at our Motion Server, and calls `say` with a line for each turn that ends. Keeps
    nothing else of what happens."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say = say
        self._lines = TurnLines()

    def emit(self, lane: Lane, connection: str, content: EventKind) -> None:
        """Follow the close of a connection, which ends its turns; ignore all other events."""
        if isinstance(content, Closed):
            self._say_ended_turns(lane, connection, content)

    def record_sent(self, lane: Lane, connection: str, raw: str | bytes, answers: str = "") -> None:
        """Follow a message that our Motion Server sends."""
        self._say_ended_turns(lane, connection, read_upstream(raw))

    def record_received(self, lane: Lane, connection: str, raw: str | bytes) -> None:
        """Follow a message that our Motion Server receives."""
        self._say_ended_turns(lane, connection, read_upstream(raw))

    def _say_ended_turns(self, lane: Lane, connection: str, message: object) -> None:
        """Call `say` with the line of each turn that ends with this message on a connection to our Motion
        Server, or with its close. Messages of other lanes, such as those to a room, are ignored."""
        if lane is Lane.UPSTREAM:
            for line in self._lines.lines_of_ended_turns(monotonic_ns(), connection, message):
                self._say(line)
