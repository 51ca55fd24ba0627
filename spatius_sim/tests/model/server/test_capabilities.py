"""Requests in a room can be paused, and the socket tells where they stand, if the server declares that."""

from itertools import count

import pytest

from spatius_sim.model.room.room_playback import EXPLICIT, TICK_SECONDS
from spatius_sim.model.scenario.scenario_player import ConnectionFaults
from spatius_sim.model.server.capabilities import CAPABILITIES, PLAYBACK_CONTROL, PLAYBACK_STATE
from spatius_sim.model.server.commands import Send, ServerCommand, SetTimer
from spatius_sim.model.server.motion_answers import SynthesizedAnswer
from spatius_sim.model.server.play_session_in_room import ROOM_TIMER
from spatius_sim.model.server.session import ServerSession
from spatius_sim.protocol.codec import decode
from spatius_sim.protocol.messages import (
    AgoraEgress,
    AudioInput,
    ConfigureSession,
    ConfirmSession,
    EgressType,
    Interrupt,
    Message,
    Pause,
    PlaybackNews,
    PlaybackPhase,
    Resume,
)

EGRESS = ConfigureSession(16000, egress_type=EgressType.AGORA, agora_egress=AgoraEgress("c", uid=7))
SECOND = bytes(32000)


def sent(commands: list[ServerCommand]) -> list[Message]:
    return [decode(command.raw) for command in commands if isinstance(command, Send)]


def told(commands: list[ServerCommand]) -> list[tuple[int, int, str]]:
    news = [message for message in sent(commands) if isinstance(message, PlaybackNews)]
    assert {(one.connection_id, one.req_id) for one in news} <= {("c", "r")}
    return [(one.phase, one.played_ms, one.reason) for one in news]


def speaking(*capabilities: str, egress: bool = True) -> ServerSession:
    made = ServerSession(
        "c",
        lambda connection, req, rate: SynthesizedAnswer(connection, req, rate, 0),
        ConnectionFaults(0, 1, []),
        capabilities=capabilities,
    )
    confirmed = sent(made.receive(EGRESS if egress else ConfigureSession(16000)))
    assert confirmed == [ConfirmSession("c", capabilities)]
    made.receive(AudioInput("r", SECOND, True))
    return made


def ticks(made: ServerSession, begin: float = 0.0, most: int = 1000) -> list[ServerCommand]:
    commands: list[ServerCommand] = []
    for number in count(1):
        due = made.handle_timer(ROOM_TIMER, begin + number * TICK_SECONDS)
        commands += due
        if number == most or not any(isinstance(command, SetTimer) for command in due):
            return commands
    raise AssertionError


def test_the_socket_tells_where_a_request_stands() -> None:
    made = speaking(*CAPABILITIES)
    assert told(ticks(made, most=11)) == [(PlaybackPhase.PLAYING, 0, "")]
    assert told(made.receive(Pause("r"), 1.0)) == [(PlaybackPhase.PAUSED, 400, "")]
    assert told(ticks(made, 1.0, most=50)) == []
    assert told(made.receive(Resume("r"), 3.0)) == [(PlaybackPhase.PLAYING, 400, "")]
    assert told(ticks(made, 3.0)) == [(PlaybackPhase.ENDED, 1000, "")]


def test_an_interrupt_is_told_with_its_reason() -> None:
    made = speaking(*CAPABILITIES)
    ticks(made, most=11)
    assert told(made.receive(Interrupt("r"), 1.0)) == [(PlaybackPhase.INTERRUPTED, 400, EXPLICIT)]


@pytest.mark.parametrize("message", [Pause("r"), Resume("r")])
def test_what_cannot_be_paused_is_told_as_unknown(message: Message) -> None:
    assert told(speaking(PLAYBACK_STATE).receive(message, 1.0)) == [(PlaybackPhase.UNKNOWN, 0, "")]
    over = speaking(*CAPABILITIES)
    ticks(over)
    assert told(over.receive(message, 99.0)) == [(PlaybackPhase.UNKNOWN, 0, "")]
    without_room = speaking(*CAPABILITIES, egress=False)
    assert told(without_room.receive(message, 1.0)) == [(PlaybackPhase.UNKNOWN, 0, "")]


def test_a_request_is_paused_in_silence_if_no_news_is_declared() -> None:
    made = speaking(PLAYBACK_CONTROL)
    ticks(made, most=11)
    assert told(made.receive(Pause("r"), 1.0)) == []
    assert all(isinstance(command, SetTimer) for command in ticks(made, 1.0, most=50))
    made.receive(Resume("r"), 3.0)
    assert sent(ticks(made, 3.0))


def test_without_capabilities_nothing_is_paused_and_nothing_told() -> None:
    made = speaking()
    ticks(made, most=11)
    assert made.receive(Pause("r"), 1.0) == []
    assert told(ticks(made, 1.0)) == []
