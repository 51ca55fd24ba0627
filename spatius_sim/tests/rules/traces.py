"""Traces written by hand, line by line, so that the test of a rule reads as a dialogue."""

from hashlib import shake_128
from itertools import count

import numpy as np

from spatius_sim.model.scenario.fault_events import make_fault_event
from spatius_sim.model.scenario.scenario import FaultAction
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.keyframes import WIDTH
from spatius_sim.protocol.messages import (
    AudioFormat,
    AudioInput,
    ConfigureSession,
    ConfirmSession,
    Interrupt,
    Message,
    MotionResponse,
    ServerError,
)
from spatius_sim.rules.findings import Judgement, Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.trace.events import (
    SERVER_DIES,
    Awaited,
    Closed,
    Event,
    EventKind,
    Injected,
    KitStalled,
    Lane,
    Opened,
    Provocation,
    Provoked,
    Received,
    Refused,
    SecretKnown,
    SecretSeen,
    Sent,
    TokenRequested,
    Trace,
    TraceHeader,
    TurnStarted,
    WaitEnded,
)
from spatius_sim.trace.read_frames import read_upstream
from spatius_sim.wires.events import Audio, ClientAction, InterruptTurn, Motion, Ready, RelayEvent
from spatius_sim.wires.json_envelope import JsonEnvelope
from spatius_sim.wires.optional_features import UPSTREAM

RATE = 16000
KEYFRAME = 640
"""Samples that one keyframe belongs to."""
NOW = 1_760_000_000.0
HOUR = 3600
DAY = 24 * HOUR
TICK_NS = 1_000_000


def voice(label: str, samples: int = 5 * KEYFRAME) -> bytes:
    """PCM that no other label has; five keyframes of it unless told otherwise."""
    return shake_128(label.encode()).digest(2 * samples)


class Dialogue:
    """A trace in the making. The kit is all around a relay, or the client of a server."""

    def __init__(self, subject: str = "relay", lacks: tuple[str, ...] = ()) -> None:
        self._subject, self._lacks = subject, lacks
        self._events: list[Event] = []
        self._shades = count(1)
        self._tokens = count(1)
        self._passed_ns = 0

    # What the kit means and knows.

    def starts(self, client: str, number: int, pcm: bytes, rate: int = RATE) -> int:
        return self.happens(Lane.KIT, client, TurnStarted(number, pcm, rate))

    def ends(self, client: str, number: int, *, complete: bool = True) -> int:
        return self.happens(Lane.KIT, client, WaitEnded(Awaited.TURN, complete, number))

    def passes(self, seconds: float) -> None:
        """Nothing happens for so long."""
        self._passed_ns += int(seconds * 1e9)

    def lags(self, seconds: float) -> int:
        """The kit itself does nothing for so long."""
        self.passes(seconds)
        return self.happens(Lane.KIT, "", KitStalled(seconds))

    def fault(self, fault: FaultAction | Injected = SERVER_DIES, up: str = "") -> int:
        what = fault if isinstance(fault, Injected) else make_fault_event(fault)
        return self.happens(Lane.KIT, up, what)

    def secret_known(self, kind: str, length: int = 32) -> int:
        return self.happens(Lane.KIT, "", SecretKnown(kind, length))

    # Console and upstream.

    def token(self, life: int | None = HOUR, *, status: int = 200, token: str = "token#1") -> int:
        expire_at = None if life is None else int(NOW) + life
        return self.happens(Lane.CONSOLE, "", TokenRequested("key#1", expire_at, NOW, status, token))

    def opened(self, up: str, token: str = "token#1") -> int:
        return self.happens(Lane.UPSTREAM, up, Opened(token, "app", "avatar"))

    def refused(self, up: str, status: int, reason: str, token: str = "") -> int:
        return self.happens(Lane.UPSTREAM, up, Refused(status, reason, token))

    def configures(self, up: str, rate: int = RATE, audio_format: int = AudioFormat.PCM_S16LE) -> int:
        return self.client_says(up, ConfigureSession(rate, audio_format=audio_format))

    def confirms(self, up: str) -> int:
        return self.server_says(up, ConfirmSession(f"id of {up}"))

    def connects(self, up: str, rate: int = RATE) -> int:
        token = f"token#{next(self._tokens)}"
        self.token(token=token)
        self.opened(up, token)
        self.configures(up, rate)
        return self.confirms(up)

    def audio_up(self, up: str, req: str, pcm: bytes = b"", *, end: bool = False) -> int:
        return self.client_says(up, AudioInput(req, pcm, end))

    def interrupt_up(self, up: str, req: str) -> int:
        return self.client_says(up, Interrupt(req))

    def error(self, up: str, req: str = "") -> int:
        return self.server_says(up, ServerError(f"id of {up}", req, 4001, "Credits exhausted"))

    def motion(
        self,
        up: str,
        req: str,
        keyframes: int = 1,
        *,
        end: bool = False,
        shade: float | None = None,
        answers: str = "",
    ) -> bytes:
        """Motion Server answers; the payload, unlike all others unless they share a shade."""
        payload = self.payload(up, req, keyframes, end=end, shade=shade)
        self.server_says_raw(up, payload, answers)
        return payload

    def payload(
        self, up: str, req: str, keyframes: int = 1, *, end: bool = False, shade: float | None = None
    ) -> bytes:
        """A payload as `motion` sends it, which is not sent."""
        shade = float(next(self._shades)) if shade is None else shade
        rows = np.full((keyframes, WIDTH), shade, np.float32)
        return encode(MotionResponse(f"id of {up}", req, end, rows))

    def closed(self, up: str, *, by_kit: bool) -> int:
        return self.happens(Lane.UPSTREAM, up, Closed(by_kit, 1000))

    def client_says(self, up: str, message: Message) -> int:
        return self.client_says_raw(up, encode(message))

    def client_says_raw(self, up: str, raw: str | bytes) -> int:
        return self._upstream(up, raw, from_kit=self._subject in ("server", "room"))

    def server_says(self, up: str, message: Message) -> int:
        return self.server_says_raw(up, encode(message))

    def server_says_raw(self, up: str, raw: bytes, answers: str = "") -> int:
        return self._upstream(up, raw, from_kit=self._subject == "relay", answers=answers)

    # Downstream.

    def ready(self, client: str, output_rate: int = 0) -> int:
        return self.hears(client, Ready("session", output_rate, RATE))

    def audio_down(self, client: str, pcm: bytes = b"", *, last: bool = False, turn_id: str = "") -> int:
        return self.hears(client, Audio(pcm, last, turn_id))

    def motion_down(self, client: str, *payloads: bytes, last: bool | None = None, turn_id: str = "") -> int:
        """Marked as last where the last payload is, unless told otherwise."""
        message = read_upstream(payloads[-1]) if payloads else None
        ends = isinstance(message, MotionResponse) and message.end
        return self.hears(client, Motion(payloads, ends if last is None else last, turn_id))

    def secret_seen(self, client: str, kind: str, place: str = "in a message, plain") -> int:
        return self.happens(Lane.DOWNSTREAM, client, SecretSeen(kind, place))

    def hears(self, client: str, event: RelayEvent) -> int:
        [raw] = JsonEnvelope().write_relay_event(event)
        return self.happens(Lane.DOWNSTREAM, client, Received(raw, event))

    def client_interrupts(self, client: str) -> int:
        action = InterruptTurn()
        [raw] = JsonEnvelope().write_client_action(action)
        return self.happens(Lane.DOWNSTREAM, client, Sent(raw, JsonEnvelope().read_client_frame(raw)))

    def client_sends(self, client: str, *actions: ClientAction) -> None:
        for action in actions:
            for raw in JsonEnvelope().write_client_action(action):
                self.happens(Lane.DOWNSTREAM, client, Sent(raw, JsonEnvelope().read_client_frame(raw)))

    def relay_hangs_up(self, client: str) -> int:
        return self.happens(Lane.DOWNSTREAM, client, Closed(False, 1000))

    def hangs_up(self, client: str, code: int = 1000) -> int:
        """The client leaves."""
        return self.happens(Lane.DOWNSTREAM, client, Closed(by_kit=True, code=code))

    def watched_hang_up(self, client: str, *, complete: bool = True) -> int:
        """The relay was given its time to close what is left upstream."""
        return self.happens(Lane.KIT, client, WaitEnded(Awaited.HANG_UP, complete))

    def intends(self, client: str, intent: Provocation) -> int:
        return self.happens(Lane.KIT, client, Provoked(intent))

    # Whole turns of an honest relay, and of an honest Motion Server.

    def speaks(self, client: str = "ann", number: int = 0) -> bytes:
        """The client's turn begins, on an upstream session of its own; what it says."""
        pcm = voice(f"{client} {number}")
        self.starts(client, number, pcm)
        self.connects(up_of(client, number))
        return pcm

    def echoes(self, client: str, number: int, pcm: bytes, turn_id: str = "") -> int:
        """The relay passes the turn's audio on, up and down, both ends marked."""
        up, req = up_of(client, number), req_of(client, number)
        self.audio_up(up, req, pcm)
        self.audio_down(client, pcm, turn_id=turn_id)
        self.audio_up(up, req, end=True)
        return self.audio_down(client, last=True, turn_id=turn_id)

    def answers(self, client: str = "ann", number: int = 0) -> tuple[bytes, bytes]:
        """Motion Server answers the turn with two payloads, five keyframes in all."""
        up, req = up_of(client, number), req_of(client, number)
        return self.motion(up, req, 3), self.motion(up, req, 2, end=True)

    def turn(self, client: str = "ann", number: int = 0, turn_id: str = "") -> tuple[bytes, bytes]:
        """A whole turn of an honest relay; its payloads."""
        pcm = self.speaks(client, number)
        self.echoes(client, number, pcm, turn_id)
        first, second = self.answers(client, number)
        self.motion_down(client, first, turn_id=turn_id)
        self.motion_down(client, second, last=True, turn_id=turn_id)
        self.ends(client, number)
        return first, second

    # The trace and its judgement.

    def happens(self, lane: Lane, connection: str, what: EventKind) -> int:
        """Write an event down; its number."""
        seq = len(self._events)
        self._events.append(Event(seq, self._passed_ns + seq * TICK_NS, lane, connection, what))
        return seq

    @property
    def last(self) -> int:
        """The number of the event that was written last."""
        return len(self._events) - 1

    @property
    def trace(self) -> Trace:
        halves = "downstream" if UPSTREAM in self._lacks else "both"
        header = TraceHeader(self._subject, "json-envelope", 0, "by hand", "0", self._lacks, halves)
        return Trace(header, tuple(self._events))

    def judged(self, rule_id: str) -> Judgement:
        return judge(self.trace)[rule_id]

    def verdict(self, rule_id: str) -> Verdict:
        return self.judged(rule_id).verdict

    def guilty(self, rule_id: str) -> list[tuple[int, ...]]:
        """The events that prove each breach of that rule."""
        return [broken.events for broken in self.judged(rule_id).broken]

    @property
    def failed(self) -> list[str]:
        """The rules that this trace breaks."""
        return [name for name, one in judge(self.trace).items() if one.verdict is Verdict.FAILED]

    def _upstream(self, up: str, raw: str | bytes, *, from_kit: bool, answers: str = "") -> int:
        value = read_upstream(raw)
        what = Sent(raw, value, answers) if from_kit else Received(raw, value)
        return self.happens(Lane.UPSTREAM, up, what)


def up_of(client: str, number: int) -> str:
    return f"up of {client} {number}"


def req_of(client: str, number: int) -> str:
    return f"req of {client} {number}"
