"""A session with an egress plays in its room, tells the agent, and survives the loss of the room."""

from dataclasses import replace
from itertools import count

import pytest

from spatius_sim.model.room.room_faults import RoomFault
from spatius_sim.model.room.room_playback import (
    EXPLICIT,
    TICK_SECONDS,
    LeaveRoom,
    PlaySound,
    ShowPacket,
    TellFinished,
    TellStarted,
)
from spatius_sim.model.scenario.scenario import Fault, Moment, RoomTrouble, SendError, When
from spatius_sim.model.scenario.scenario_player import ConnectionFaults
from spatius_sim.model.server.commands import (
    Close,
    Inject,
    Join,
    PlayInRoom,
    Send,
    ServerCommand,
    SetTimer,
)
from spatius_sim.model.server.egress_configuration import AGENT_ATTRIBUTE, EgressFault, read_egress_room
from spatius_sim.model.server.motion_answers import SynthesizedAnswer
from spatius_sim.model.server.play_session_in_room import ROOM_TIMER
from spatius_sim.model.server.send_responses import Limits
from spatius_sim.model.server.session import ServerSession
from spatius_sim.model.server.simulated_rooms import SimulatedRooms
from spatius_sim.protocol.codec import decode
from spatius_sim.protocol.errors import UsageError
from spatius_sim.protocol.messages import (
    AgoraEgress,
    AudioInput,
    ConfigureSession,
    ConfirmSession,
    EgressType,
    Interrupt,
    LiveKitEgress,
    MotionResponse,
    ServerError,
)
from spatius_sim.protocol.room_packet import PacketFlag, read_packet

ROOM = LiveKitEgress(
    "wss://l", "k", "s", room_name="room", publisher_id="p", extra_attributes=((AGENT_ATTRIBUTE, "agent"),)
)
EGRESS = ConfigureSession(16000, egress_type=EgressType.LIVEKIT, livekit_egress=ROOM)
OLD_AGENT = replace(EGRESS, livekit_egress=replace(ROOM, extra_attributes=()))
AGORA = ConfigureSession(16000, egress_type=EgressType.AGORA, agora_egress=AgoraEgress("c", uid=7))
SECOND = bytes(32000)


def session(*faults: RoomFault, real: bool = False, limits: Limits | None = None) -> ServerSession:
    steps = [Fault(When(Moment.ROOM), (RoomTrouble(fault),)) for fault in faults]

    def answer(connection_id: str, req_id: str, rate: int) -> SynthesizedAnswer:
        return SynthesizedAnswer(connection_id, req_id, rate, 0)

    return ServerSession(
        "c", answer, ConnectionFaults(0, 1, steps), limits=limits or Limits(), real_rooms=real
    )


def tick(made: ServerSession, now: float = 0.0) -> list[ServerCommand]:
    return made.handle_timer(ROOM_TIMER, now)


def play(made: ServerSession) -> list[ServerCommand]:
    """Let the room tick until it rests, and return all commands."""
    commands: list[ServerCommand] = []
    for number in count(1):
        due = tick(made, number * TICK_SECONDS)
        commands += due
        if not any(isinstance(command, SetTimer) for command in due):
            return commands
    raise AssertionError


def outputs(commands: list[ServerCommand]) -> list[object]:
    return [output for c in commands if isinstance(c, PlayInRoom) for output in c.outputs]


def signals(commands: list[ServerCommand]) -> list[tuple[str, bool, int]]:
    values = [decode(command.raw) for command in commands if isinstance(command, Send)]
    return [(v.req_id, v.end, len(v.keyframes)) for v in values if isinstance(v, MotionResponse)]


def errors(commands: list[ServerCommand]) -> list[tuple[int, str]]:
    values = [decode(command.raw) for command in commands if isinstance(command, Send)]
    return [(value.code, value.message) for value in values if isinstance(value, ServerError)]


def test_a_request_is_played_and_told_and_the_room_rests() -> None:
    made = session()
    made.receive(EGRESS, 0.0)
    made.receive(AudioInput("a", SECOND, True), 0.0)
    played = outputs(play(made))
    flags = [read_packet(output.packet).flags for output in played if isinstance(output, ShowPacket)]
    assert len(flags) == 1 + 25 + 1 + 1
    assert flags[-1] == PacketFlag.IDLE
    assert sum(len(output.pcm) for output in played if isinstance(output, PlaySound)) == len(SECOND)
    assert TellStarted("a") in played
    assert TellFinished("a", 1.0, False) in played
    assert made.receive(AudioInput("b", SECOND, True), 9.0)[-1] == SetTimer(ROOM_TIMER, TICK_SECONDS)


@pytest.mark.parametrize("asked", [OLD_AGENT, AGORA])
def test_an_agent_without_rpc_is_told_on_the_socket(asked: ConfigureSession) -> None:
    made = session()
    made.receive(asked, 0.0)
    made.receive(AudioInput("a", SECOND, True), 0.0)
    assert signals(play(made)) == [("a", False, 0), ("a", True, 0)]
    made.receive(AudioInput("b", SECOND, True), 9.0)
    assert signals([*tick(made, 9.04), *tick(made, 9.08)]) == [("b", False, 0)]
    assert signals(made.receive(Interrupt("b"), 9.1)) == []


def test_an_agent_with_rpc_hears_nothing_on_the_socket() -> None:
    made = session()
    made.receive(EGRESS, 0.0)
    made.receive(AudioInput("a", SECOND, True), 0.0)
    assert signals(play(made)) == []


def test_an_interrupt_cuts_off_what_is_played() -> None:
    made = session()
    made.receive(EGRESS, 0.0)
    made.receive(AudioInput("a", SECOND, True), 0.0)
    for number in range(11):
        tick(made, number * TICK_SECONDS)
    assert outputs(made.receive(Interrupt("a"), 0.5)) == [TellFinished("a", 0.4, True, EXPLICIT)]
    assert not any(isinstance(output, PlaySound) for output in outputs(play(made)))
    assert outputs(made.receive(Interrupt("unknown"), 0.5)) == []


def test_ticks_make_up_for_lateness_but_not_for_a_sleep() -> None:
    made = session(real=True)
    made.receive(EGRESS, 0.0)
    made.handle_room_answer(None, 0.0)
    [late] = [c.seconds for c in tick(made, 0.05) if isinstance(c, SetTimer)]
    assert late == pytest.approx(0.03)
    [overdue] = [c.seconds for c in tick(made, 0.5) if isinstance(c, SetTimer)]
    assert overdue == 0
    assert [c.seconds for c in tick(made, 100.0) if isinstance(c, SetTimer)] == [0]
    [after_sleep] = [c.seconds for c in tick(made, 100.0) if isinstance(c, SetTimer)]
    assert after_sleep == pytest.approx(TICK_SECONDS)


def test_a_real_room_is_asked_before_the_session_is_confirmed() -> None:
    made = session(real=True)
    assert made.receive(EGRESS, 0.0)[0] == Join("room", "p")
    [confirmation] = [c for c in made.handle_room_answer(None, 0.1) if isinstance(c, Send)]
    assert isinstance(decode(confirmation.raw), ConfirmSession)
    assert session(real=True).receive(AGORA, 0.0)[1] == Join("c", "7")


def test_a_real_room_that_refuses_ends_the_handshake() -> None:
    made = session(real=True)
    made.receive(EGRESS, 0.0)
    refused = made.handle_room_answer(EgressFault(16, "unauthorized"), 0.1)
    assert errors(refused) == [(16, "unauthorized")]
    assert refused[-1] == Close(1008, "unauthorized")
    assert made.handle_room_loss(0.2) == tick(made) == []


def test_a_lost_room_ends_the_session() -> None:
    made = session(real=True)
    made.receive(EGRESS, 0.0)
    made.handle_room_answer(None, 0.1)
    lost = made.handle_room_loss(0.2)
    assert errors(lost) == [(14, "the egress has lost its room")]
    assert lost[-1] == Close(1011, "the egress has lost its room")
    assert tick(made) == []


def test_faults_of_a_room_are_recorded_and_played() -> None:
    never = session(RoomFault.NEVER_JOINS, real=True).receive(EGRESS, 0.0)
    assert [type(command) for command in never] == [Inject, Send]
    leaves = session(RoomFault.LEAVE_MID_TURN)
    leaves.receive(EGRESS, 0.0)
    leaves.receive(AudioInput("a", 2 * SECOND, True), 0.0)
    assert outputs(play(leaves))[-1] == LeaveRoom()
    with pytest.raises(UsageError, match="egress: 'odd' is none of never-joins"):
        RoomTrouble("odd")


def test_a_session_that_is_refused_joins_no_room() -> None:
    refusal = Fault(When(Moment.CONFIGURE), (SendError(14, "down"),))
    made = ServerSession("c", session().new_answer, ConnectionFaults(0, 1, [refusal]))
    assert not any(isinstance(command, Join) for command in made.receive(EGRESS, 0.0))


def test_a_failed_request_is_played_as_far_as_it_came() -> None:
    error = Fault(When(Moment.AUDIO, seconds=1), (SendError(4001, "credits"),))
    made = ServerSession("c", session().new_answer, ConnectionFaults(0, 1, [error]))
    made.receive(EGRESS, 0.0)
    made.receive(AudioInput("a", SECOND), 0.0)
    assert TellFinished("a", 1.0, False) in outputs(play(made))


def test_what_waits_to_be_played_is_bounded() -> None:
    made = session(limits=Limits(held_bytes=40_000))
    made.receive(EGRESS, 0.0)
    assert errors(made.receive(AudioInput("a", SECOND), 0.0)) == []
    assert errors(made.receive(AudioInput("a", SECOND), 0.0))[0][0] == 8


def test_empty_requests_do_not_fill_the_memory() -> None:
    made = session(limits=Limits(held_bytes=100_000))
    made.receive(EGRESS, 0.0)
    refused = [errors(made.receive(AudioInput(f"r{number}", b"", True), 0.0)) for number in range(120)]
    assert any(refused)


def test_a_room_notes_how_the_playback_went() -> None:
    rooms = SimulatedRooms()
    rooms.join("room", "p")
    rooms.count_message("room", "a", AudioInput("a"))
    rooms.note_playback("room", [TellStarted("a"), TellStarted("unknown")])
    assert rooms.by_name["room"].requests["a"].playback == "playing"
    rooms.note_playback("room", [TellFinished("a", 0.4, True), LeaveRoom()])
    noted = rooms.by_name["room"].requests["a"]
    assert (noted.playback, noted.position) == ("interrupted", 0.4)
    rooms.note_playback("room", [TellFinished("a", 1.0, False)])
    assert noted.playback == "finished"
    rooms.note_playback("nowhere", [TellStarted("a")])


def test_credentials_stand_in_no_room() -> None:
    room = read_egress_room(EGRESS)
    assert "agent" not in repr(room)
    assert "'s'" not in repr(room)
