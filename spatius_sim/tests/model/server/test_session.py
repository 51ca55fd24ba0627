"""A session under faults, paces, bounds and egress: messages and timers in, commands out."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from spatius_sim.model.room.room_playback import TICK_SECONDS
from spatius_sim.model.scenario.fault_events import make_fault_event
from spatius_sim.model.scenario.faults_by_id import (
    AVATARS,
    TIME_LIMIT_REACHED,
    TOO_MANY_SESSIONS,
    session_ends,
)
from spatius_sim.model.scenario.scenario import (
    CloseWith,
    Delay,
    Drop,
    Duplicate,
    Fault,
    FaultAction,
    Moment,
    OtherConnectionId,
    Reorder,
    Reset,
    SendError,
    SendGarbage,
    Stall,
    Text,
    When,
)
from spatius_sim.model.scenario.scenario_player import ConnectionFaults
from spatius_sim.model.server.commands import (
    Close,
    Inject,
    Join,
    Publish,
    ResetConnection,
    Send,
    SendText,
    ServerCommand,
    SetTimer,
)
from spatius_sim.model.server.motion_answers import RecordedAnswer, RequestMotion
from spatius_sim.model.server.open_requests import LONGEST_REQ_ID, MAX_ENDED_REQUESTS
from spatius_sim.model.server.price_plan_limits import SessionPlan
from spatius_sim.model.server.response_pace import Pace
from spatius_sim.model.server.send_responses import RESOURCE_EXHAUSTED, Limits
from spatius_sim.model.server.session import CONFIGURE_SECONDS, ServerSession
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.keyframes import WIDTH
from spatius_sim.protocol.messages import (
    AudioFormat,
    AudioInput,
    ConfigureSession,
    ConfirmSession,
    EgressType,
    Interrupt,
    LiveKitEgress,
    Message,
    MotionResponse,
    Pause,
    Resume,
    ServerError,
    UnknownMessage,
)
from spatius_sim.protocol.ogg import OpusHead
from spatius_sim.protocol.session_states import SessionState
from spatius_sim.trace.events import Undecodable
from spatius_sim.trace.read_frames import read_upstream

SECOND = bytes(32_000)
ROOM = LiveKitEgress("wss://l", "k", "s", room_name="room", publisher_id="p", idle_timeout=5)
EGRESS = ConfigureSession(16000, egress_type=EgressType.LIVEKIT, livekit_egress=ROOM)


def payload(number: int) -> bytes:
    return encode(MotionResponse("c", "r", number == 3, np.full((50, WIDTH), number, np.float32)))


PAYLOADS = [payload(number) for number in (1, 2, 3)]
"""Due after 2 s, after 4 s, and at the end."""


def recorded(connection_id: str, req_id: str, sample_rate: int) -> RequestMotion:
    return RecordedAnswer(PAYLOADS, sample_rate)


def session(
    *faults: tuple[When, tuple[FaultAction, ...]],
    pace: Pace | None = None,
    limits: Limits | None = None,
    configure: ConfigureSession | None = None,
) -> ServerSession:
    made = ServerSession(
        "c",
        recorded,
        ConnectionFaults(0, 1, [Fault(when, what) for when, what in faults]),
        pace or Pace(),
        limits=limits or Limits(),
    )
    made.receive(configure or ConfigureSession(16000), 100.0)
    return made


def speak(made: ServerSession, req_id: str = "r", now: float = 100.0) -> list[ServerCommand]:
    commands = []
    for _ in range(5):
        commands += made.receive(AudioInput(req_id, SECOND), now)
    return commands + made.receive(AudioInput(req_id, b"", True), now)


def numbers(commands: Iterable[ServerCommand]) -> list[int]:
    """Which payloads are sent or published, by what stands in their keyframes."""
    found = []
    for command in commands:
        if isinstance(command, Send | Publish):
            message = read_upstream(command.raw)
            if isinstance(message, MotionResponse):
                found.append(int(message.keyframes[0, 0]))
    return found


def errors(commands: Iterable[ServerCommand]) -> list[tuple[int, str, str]]:
    messages = [read_upstream(command.raw) for command in commands if isinstance(command, Send)]
    return [(m.code, m.message, m.req_id) for m in messages if isinstance(m, ServerError)]


def test_without_a_fault_all_comes_in_order() -> None:
    assert numbers(speak(session())) == [1, 2, 3]


@pytest.mark.parametrize(
    ("number", "what", "left"),
    [
        (2, Drop(), [1, 3]),
        (2, Duplicate(), [1, 2, 2, 3]),
        (2, Reorder(), [1, 3, 2]),
        (3, Reorder(), [1, 2, 3]),
        (2, Stall(), [1]),
        (0, Reorder(), [1, 2, 3]),
        (2, SendGarbage(), [1, 3]),
    ],
)
def test_responses_are_lost_doubled_and_reordered(number: int, what: FaultAction, left: list[int]) -> None:
    assert numbers(speak(session((When(Moment.RESPONSE, number=number), (what,))))) == left


def test_a_fault_is_told_before_it_happens() -> None:
    commands = speak(session((When(Moment.RESPONSE, number=1), (Text("hello"), CloseWith(1011, "bye")))))
    assert commands[:4] == [
        Inject(make_fault_event(Text("hello"))),
        Inject(make_fault_event(CloseWith(1011, "bye"))),
        SendText("hello"),
        Close(1011, "bye"),
    ]


def test_an_error_ends_its_request_and_no_other() -> None:
    made = session((When(Moment.RESPONSE, number=2), (SendError(4001, "Credits exhausted"),)))
    first = speak(made, "a")
    assert numbers(first) == [1]
    assert errors(first) == [(4001, "Credits exhausted", "a")]
    assert numbers(speak(made, "b")) == [1]
    assert speak(made, "a") == []


def test_an_error_in_the_middle_of_a_batch_ends_it() -> None:
    made = session((When(Moment.RESPONSE, number=1), (SendError(13, "no"),)))
    commands = made.receive(AudioInput("a", SECOND * 5, True), 100.0)
    assert (numbers(commands), len(errors(commands))) == ([], 1)


def test_audio_faults_come_after_so_much_of_it() -> None:
    made = session(
        (When(Moment.AUDIO, seconds=3), (SendError(4002, "session time limit reached"),)),
        (When(Moment.AUDIO, messages=6), (Reset(),)),
    )
    commands = speak(made)
    assert numbers(commands) == [1]
    assert errors(commands) == [(4002, "session time limit reached", "r")]
    assert ResetConnection() not in commands
    assert speak(made, "s")[-1] == ResetConnection()


def test_a_delay_holds_back_all_that_follows() -> None:
    made = session((When(Moment.RESPONSE, number=1), (Delay(2),)))
    commands = speak(made, now=100.0)
    assert numbers(commands) == []
    assert SetTimer("send", 2.0) in commands
    assert numbers(made.handle_timer("send", 102.0)) == [1, 2, 3]


def test_a_pace_holds_the_first_response_back() -> None:
    made = session(pace=Pace(latency=0.5))
    assert SetTimer("made", 0.5) in speak(made)
    assert numbers(made.handle_timer("made", 100.5)) == [1, 2, 3]


def made_by_timers(made: ServerSession, commands: list[ServerCommand]) -> dict[float, list[int]]:
    """When each payload is sent, as all timers run out one after the other."""
    left: dict[float, list[int]] = {}
    timers: dict[str, float] = {}
    now = 100.0
    while True:
        left |= {now: numbers(commands)} if numbers(commands) else {}
        timers |= {
            command.name: now + command.seconds for command in commands if isinstance(command, SetTimer)
        }
        if not timers:
            return left
        name = min(timers, key=timers.__getitem__)
        now = timers.pop(name)
        commands = made.handle_timer(name, now)


def test_audio_that_comes_all_at_once_is_answered_in_real_time() -> None:
    made = session(pace=Pace(latency=0.5, lead=3.0))
    assert made_by_timers(made, speak(made)) == {100.5: [1], 101.0: [2], 103.0: [3]}


def test_audio_in_real_time_is_answered_when_it_has_come() -> None:
    made = session(pace=Pace(latency=0.5, lead=0.5))
    left: dict[float, list[int]] = {}
    for tick in range(1, 13):
        now = 100.0 + tick / 2
        commands = made.handle_timer("made", now)
        commands += made.receive(AudioInput("r", SECOND[: len(SECOND) // 2], tick == 12), now)
        left |= {now: numbers(commands)} if numbers(commands) else {}
    assert left == {103.0: [1], 104.5: [2], 106.0: [3]}


@pytest.mark.parametrize(
    ("number", "fault", "sent"),
    [
        (2, Stall(), {100.5: [1]}),
        (2, Delay(4), {100.5: [1], 105.0: [2, 3]}),
        (1, Reorder(), {101.0: [2, 1], 103.0: [3]}),
        (2, Reorder(), {100.5: [1], 103.0: [3, 2]}),
        (3, Reorder(), {100.5: [1], 101.0: [2], 103.0: [3]}),
        (2, SendError(13, "no"), {100.5: [1]}),
    ],
)
def test_a_fault_at_a_response_waits_until_it_is_made(
    number: int, fault: FaultAction, sent: dict[float, list[int]]
) -> None:
    made = session((When(Moment.RESPONSE, number=number), (fault,)), pace=Pace(latency=0.5, lead=3.0))
    assert made_by_timers(made, speak(made)) == sent


def test_motion_that_is_still_to_be_made_holds_nothing_else_up() -> None:
    made = session((When(Moment.AUDIO, seconds=3), (SendError(4001, "no"),)), pace=Pace(latency=0.5))
    commands = speak(made)
    assert errors(commands) == [(4001, "no", "r")]
    assert made_by_timers(made, commands) == {}


def test_an_interrupt_forgets_what_is_held() -> None:
    made = session((When(Moment.INTERRUPT), (Text("stop"),)), pace=Pace(latency=0.5))
    speak(made)
    assert made.receive(Interrupt("r"), 101.0) == [Inject(make_fault_event(Text("stop"))), SendText("stop")]
    assert made.handle_timer("made", 101.0) == []
    assert made.receive(Interrupt("nobody"), 102.0)[-1] == SendText("stop")


def test_a_fault_between_requests_names_none() -> None:
    made = session((When(Moment.INTERRUPT), (SendError(13, "no"),)))
    assert errors(made.receive(Interrupt("nobody"), 100.0)) == [(13, "no", "")]
    made.receive(AudioInput("a"), 100.0)
    assert errors(made.receive(Interrupt("nobody"), 100.0)) == [(13, "no", "a")]


def test_times_run_from_the_confirmation() -> None:
    when_open, when_silent = When(Moment.OPEN, seconds=3), When(Moment.SILENCE, seconds=2)
    faults = ConnectionFaults(
        0, 1, [Fault(when_open, (Text("now"),)), Fault(when_silent, (CloseWith(1000, "idle"),))]
    )
    made = ServerSession("c", recorded, faults)
    commands = made.receive(ConfigureSession(16000), 100.0)
    assert commands[1:] == [SetTimer("open-0", 3), SetTimer("silence-1", 2)]
    assert made.handle_timer("open-0", 103.0)[-1] == SendText("now")
    made.receive(AudioInput("a"), 101.0)
    assert made.handle_timer("silence-1", 102.0) == [SetTimer("silence-1", 1.0)]
    assert made.handle_timer("silence-1", 103.0)[-1] == Close(1000, "idle")
    made.handle_close()
    assert made.handle_timer("open-0", 104.0) == made.handle_timer("send", 104.0) == []


def test_new_faults_take_the_place_of_the_old_ones() -> None:
    made = session(
        (When(Moment.OPEN, seconds=3), (Text("now"),)),
        (When(Moment.RESPONSE, number=1), (Drop(),)),
        configure=EGRESS,
    )
    made.receive(AudioInput("under way", SECOND), 100.0)
    made.replace_faults(ConnectionFaults(0, 0, [Fault(When(Moment.RESPONSE, request=1), (Drop(),))]))
    assert made.handle_timer("open-0", 103.0) == []
    assert numbers(speak(made, "under way")) == [1, 2, 3]
    assert numbers(speak(made, "the first")) == []
    assert numbers(speak(made, "the second")) == [1, 2, 3]


@pytest.mark.parametrize(
    ("what", "first"),
    [
        (Stall(), None),
        (Text("hello"), SendText("hello")),
        (OtherConnectionId(""), Send(encode(ConfirmSession("")))),
    ],
)
def test_a_confirmation_may_be_spoilt(what: FaultAction, first: ServerCommand | None) -> None:
    made = ServerSession("c", recorded, ConnectionFaults(0, 1, [Fault(When(Moment.CONFIGURE), (what,))]))
    commands = made.receive(ConfigureSession(16000), 0.0)
    assert commands[1:] == ([first] if first else [])
    assert made.state is SessionState.OPEN


def test_a_handshake_may_be_refused_late() -> None:
    steps = (Delay(1), SendError(14, "egress is down"))
    made = ServerSession("c", recorded, ConnectionFaults(0, 1, [Fault(When(Moment.CONFIGURE), steps)]))
    assert made.receive(ConfigureSession(16000), 0.0)[-1] == SetTimer("send", 1.0)
    late = made.handle_timer("send", 1.0)
    assert errors(late) == [(14, "egress is down", "")]
    assert late[-1] == Close(1008, "egress is down")
    assert made.state is SessionState.REFUSED


def test_held_motion_is_bounded() -> None:
    made = session(pace=Pace(latency=60), limits=Limits(held_bytes=1000))
    commands = speak(made)
    assert errors(commands)[0][:2] == (RESOURCE_EXHAUSTED, "more than 1000 bytes wait to be sent")
    assert any(isinstance(command, Close) for command in commands)


def test_requests_are_bounded() -> None:
    made = session(limits=Limits(open_requests=2))
    for number in range(2 * MAX_ENDED_REQUESTS):
        assert not errors(made.receive(AudioInput(f"r{number}", b"", True), 100.0))
    made.receive(AudioInput("a"), 100.0)
    made.receive(AudioInput("b"), 100.0)
    assert errors(made.receive(AudioInput("c"), 100.0))[0][0] == RESOURCE_EXHAUSTED
    made.receive(Interrupt("a"), 100.0)
    assert made.receive(AudioInput("c"), 100.0) == []
    assert errors(made.receive(AudioInput("x" * (LONGEST_REQ_ID + 1)), 100.0))[0][0] == RESOURCE_EXHAUSTED
    # The first ended request is forgotten by now, the last one is not.
    assert errors(made.receive(AudioInput(f"r{2 * MAX_ENDED_REQUESTS - 1}"), 100.0))[0][0] == 3


def test_an_egress_session_publishes_and_is_silent() -> None:
    made = ServerSession("c", recorded)
    commands = made.receive(EGRESS, 100.0)
    assert commands[1:] == [SetTimer("idle", 5), Join("room", "p"), SetTimer("room", TICK_SECONDS)]
    spoken = speak(made)
    assert numbers(spoken) == [1, 2, 3]
    assert all(isinstance(command, Publish) for command in spoken)
    assert sum(isinstance(read_upstream(c.raw), AudioInput) for c in spoken if isinstance(c, Publish)) == 6


def test_an_egress_session_without_a_time_out_waits_for_ever() -> None:
    forever = replace(EGRESS, livekit_egress=replace(ROOM, idle_timeout=0))
    made = ServerSession("c", recorded)
    assert made.receive(forever, 0.0)[1:] == [Join("room", "p"), SetTimer("room", TICK_SECONDS)]


def test_an_egress_session_may_be_idle_for_so_long_only() -> None:
    made = session(configure=EGRESS)
    made.receive(AudioInput("a"), 103.0)
    assert made.handle_timer("idle", 105.0) == [SetTimer("idle", 3.0)]
    commands = made.handle_timer("idle", 108.0)
    assert errors(commands) == [(0, "no audio input for 5 seconds", "")]
    assert commands[-1] == Close(1000, "no audio input for 5 seconds")


@pytest.mark.parametrize("value", [Undecodable("junk"), ConfirmSession("x")])
def test_what_no_client_sends_is_answered(value: Message | Undecodable) -> None:
    assert errors(session().receive(value, 100.0))[0][0] == 3


class _Deaf:
    """A codec that gives nothing."""

    def __init__(self, head: OpusHead) -> None:
        """No matter which."""

    def decode(self, packet: bytes) -> bytes:
        return b""


def test_a_damaged_opus_stream_ends_its_request() -> None:
    made = ServerSession("c", recorded, opus=_Deaf)
    asked = ConfigureSession(24000, audio_format=AudioFormat.OGG_OPUS)
    assert len(made.receive(asked, 0.0)) == 1
    assert errors(made.receive(AudioInput("a", b"no ogg"), 0.0)) == [
        (3, "the audio is not an Ogg stream", "a")
    ]
    assert made.receive(AudioInput("a", b"more"), 0.0) == []
    refused = ServerSession("c", recorded, opus=_Deaf)
    wrong = ConfigureSession(22050, audio_format=AudioFormat.OGG_OPUS)
    assert errors(refused.receive(wrong, 0.0))[0][1] == "unsupported sample rate: 22050"


@pytest.mark.parametrize("message", [UnknownMessage(6), Pause("r"), Resume("r")])
def test_pause_resume_and_the_drive_are_ignored_as_older_servers_do(message: Message) -> None:
    assert session().receive(message, 103.0) == []


def test_other_unknown_types_are_an_error() -> None:
    assert errors(session().receive(UnknownMessage(77), 103.0)) == [(3, "unexpected message type", "")]


@pytest.mark.parametrize(("code", "closed"), [(4003, 4003), (14, 1008)])
def test_a_session_is_refused_with_the_code_of_its_error(code: int, closed: int) -> None:
    fault = Fault(When(Moment.CONFIGURE), (SendError(code, "no"),))
    made = ServerSession("c", recorded, ConnectionFaults(0, 1, [fault]))
    commands = made.receive(ConfigureSession(16000), 0.0)
    assert errors(commands) == [(code, "no", "")]
    assert commands[-1] == Close(closed, "no")


@pytest.mark.parametrize("word", ["drained", "timed", "outdated", "overloaded"])
def test_an_id_that_ends_a_session_closes_with_the_code_of_its_error(word: str) -> None:
    faults = ConnectionFaults(0, 1, [AVATARS[word][1]])
    made = ServerSession("c", recorded, faults)
    made.receive(ConfigureSession(16000), 0.0)
    commands = made.receive(AudioInput("r", bytes(2 * 16000 * 2)), 1.0)
    [(code, text, _)] = errors(commands)
    assert code in range(4000, 5000)
    assert commands[-1] == Close(code, text)


def test_a_plan_limits_how_many_sessions_there_are_and_how_long() -> None:
    plan = SessionPlan(max_sessions=2, max_seconds=600)
    [length] = plan.make_faults(1)
    assert length == Fault(When(Moment.OPEN, seconds=600), session_ends(4002, TIME_LIMIT_REACHED))
    assert plan.make_faults(2) == [Fault(When(Moment.CONFIGURE), (SendError(4003, TOO_MANY_SESSIONS),))]
    assert SessionPlan().make_faults(99) == []


def test_a_connection_without_a_configuration_is_closed_after_a_while() -> None:
    made = ServerSession("c", recorded)
    assert made.handle_open() == [SetTimer("configure", CONFIGURE_SECONDS)]
    commands = made.handle_timer("configure", CONFIGURE_SECONDS)
    assert errors(commands) == [(0, "no ClientConfigureSession message within 15 s", "")]
    assert isinstance(commands[-1], Close)
    assert made.state is SessionState.REFUSED
    assert session().handle_timer("configure", CONFIGURE_SECONDS) == []
