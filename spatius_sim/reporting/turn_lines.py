"""Says each turn at a Motion Server in one line when it ends: who, how long, first motion after, end."""

from dataclasses import dataclass

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, KEYFRAMES_PER_SECOND
from spatius_sim.protocol.messages import AudioInput, ConfigureSession, Interrupt, MotionResponse, ServerError
from spatius_sim.reporting.harmless_text import one_line
from spatius_sim.trace.events import Closed

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
    """Follows the messages of all sessions, and has a line for each turn that ends."""

    def __init__(self) -> None:
        self._rates: dict[str, int] = {}
        self._turns: dict[tuple[str, str], _Turn] = {}

    def lines_after(self, at_ns: int, connection: str, value: object) -> list[str]:
        """Take the next message of a connection to Motion Server, or its close, and return a line for each
        turn that ends by it. Control characters in the lines are escaped."""
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
                return self._see_motion(at_ns, connection, req_id, value, end=end)
            case Interrupt(req_id):
                return self._end(at_ns, connection, req_id, "interrupted")
            case ServerError(req_id=req_id, code=code, message=message):
                how = f"error {code}: {one_line(message, _LONGEST_ERROR)}"
                return (
                    self._end(at_ns, connection, req_id, how)
                    if req_id
                    else self._end_all(at_ns, connection, how)
                )
            case Closed(by_kit, code):
                self._rates.pop(connection, None)
                side = "Motion Server" if by_kit else "the relay"
                return self._end_all(at_ns, connection, f"cut off: {side} closed with {code}")
        return []

    def _see_motion(
        self, at_ns: int, connection: str, req_id: str, motion: MotionResponse, *, end: bool
    ) -> list[str]:
        """Count the motion of a turn; return its line if this was the last."""
        turn = self._turns.get((connection, req_id))
        if turn is None:
            return []
        turn.first_motion_ns = turn.first_motion_ns or at_ns
        turn.keyframes += len(motion.keyframes)
        return self._end(at_ns, connection, req_id, "complete") if end else []

    def _end_all(self, at_ns: int, connection: str, how: str) -> list[str]:
        """Return the lines of all open turns of a connection; they end now."""
        open_turns = [req_id for name, req_id in self._turns if name == connection]
        return [line for req_id in open_turns for line in self._end(at_ns, connection, req_id, how)]

    def _end(self, at_ns: int, connection: str, req_id: str, how: str) -> list[str]:
        """Forget a turn, and return its line; no line if the turn is not known."""
        turn = self._turns.pop((connection, req_id), None)
        if turn is None:
            return []
        spoken = turn.audio_bytes / BYTES_PER_SAMPLE / turn.rate if turn.rate else 0.0
        first = (turn.first_motion_ns - turn.began_ns) / 1e9
        motion = f"first motion after {first:.2f} s" if turn.first_motion_ns else "no motion"
        who = f"{one_line(connection, _LONGEST_NAME)} {one_line(req_id, _LONGEST_NAME)}"
        moved = f"{turn.keyframes / KEYFRAMES_PER_SECOND:.1f} s of motion"
        lasted = (at_ns - turn.began_ns) / 1e9
        return [f"turn {who}: {spoken:.1f} s of audio, {motion}, {moved}, {how} after {lasted:.2f} s"]
