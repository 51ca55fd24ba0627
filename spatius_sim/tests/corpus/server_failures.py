"""The smallest failures of the rules for Motion Servers."""

import numpy as np

from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.keyframes import WIDTH
from spatius_sim.protocol.messages import (
    AudioInput,
    ConfigureSession,
    ConfirmSession,
    EgressType,
    Interrupt,
    LiveKitEgress,
    MotionResponse,
    Pause,
    PlaybackNews,
    PlaybackPhase,
    ServerError,
)
from spatius_sim.tests.corpus.failures import breaks
from spatius_sim.tests.rules.traces import DAY, HOUR, KEYFRAME, NOW, RATE, Dialogue, voice
from spatius_sim.trace.events import (
    Awaited,
    Lane,
    Opened,
    Provocation,
    Provoked,
    TokenRequested,
    WaitEnded,
)

SERVER = "server"
UP, REQ = "session-1", "request-1"


def asked(said: Dialogue, keyframes: int = 5, configuration: ConfigureSession | None = None) -> None:
    """A session whose turn of so many keyframes waits for its answer."""
    said.opened(UP)
    said.client_says(UP, configuration or ConfigureSession(RATE))
    said.confirms(UP)
    pcm = voice("asked", keyframes * KEYFRAME)
    said.starts(UP, 0, pcm)
    said.audio_up(UP, REQ, pcm, end=True)


def means(said: Dialogue, connection: str, intent: Provocation) -> None:
    said.happens(Lane.KIT, connection, Provoked(intent))


@breaks("S-TOKEN-WINDOW", SERVER)
def a_token_for_two_days(said: Dialogue) -> None:
    said.token(2 * DAY)


@breaks("S-TOKEN-KEY", SERVER)
def a_token_for_a_wrong_key(said: Dialogue) -> None:
    means(said, "ask-1", Provocation.WRONG_KEY)
    granted = TokenRequested("key#2", int(NOW) + HOUR, NOW, 200, "token#1")
    said.happens(Lane.CONSOLE, "ask-1", granted)


@breaks("S-UPGRADE-REFUSED", SERVER)
def an_unknown_avatar_is_let_in(said: Dialogue) -> None:
    means(said, UP, Provocation.UNKNOWN_AVATAR)
    said.happens(Lane.UPSTREAM, UP, Opened())


@breaks("S-TOKEN-EXPIRY", SERVER)
def an_expired_token_is_let_in(said: Dialogue) -> None:
    means(said, UP, Provocation.EXPIRED_TOKEN)
    said.happens(Lane.UPSTREAM, UP, Opened())


@breaks("S-CONFIRM", SERVER)
def confirmed_without_an_id(said: Dialogue) -> None:
    said.opened(UP)
    said.configures(UP)
    said.server_says(UP, ConfirmSession(""))


@breaks("S-HANDSHAKE-REFUSED", SERVER)
def refused_without_words(said: Dialogue) -> None:
    means(said, UP, Provocation.TEXT)
    said.opened(UP)
    said.client_says_raw(UP, "hello")
    said.server_says(UP, ServerError(code=3, message="no"))


@breaks("S-HANDSHAKE-CLOSED", SERVER)
def refused_and_left_open(said: Dialogue) -> None:
    means(said, UP, Provocation.TEXT)
    said.opened(UP)
    said.client_says_raw(UP, "hello")
    said.server_says(UP, ServerError(message="expected ClientConfigureSession message"))
    said.passes(5.5)
    said.happens(Lane.KIT, UP, WaitEnded(Awaited.CLOSE, False))


@breaks("S-MOTION-IDS", SERVER)
def a_request_that_nobody_made(said: Dialogue) -> None:
    asked(said)
    said.motion(UP, "request-2", 5, end=True)
    said.ends(UP, 0)


@breaks("S-MOTION-END", SERVER)
def no_end_mark(said: Dialogue) -> None:
    asked(said)
    said.motion(UP, REQ, 5)
    said.ends(UP, 0, complete=False)


@breaks("S-MOTION-COUNT", SERVER)
def a_keyframe_less(said: Dialogue) -> None:
    asked(said)
    said.motion(UP, REQ, 4, end=True)
    said.ends(UP, 0)


@breaks("S-MOTION-SEGMENTS", SERVER)
def two_short_segments(said: Dialogue) -> None:
    asked(said)
    said.motion(UP, REQ, 3)
    said.motion(UP, REQ, 2, end=True)
    said.ends(UP, 0)


@breaks("S-MOTION-SHAPE", SERVER)
def a_number_that_is_none(said: Dialogue) -> None:
    asked(said, 1)
    rows = np.full((1, WIDTH), np.inf, np.float32)
    said.server_says_raw(UP, encode(MotionResponse(f"id of {UP}", REQ, True, rows)))
    said.ends(UP, 0)


@breaks("S-MOTION-MOVES", SERVER)
def a_still_face(said: Dialogue) -> None:
    asked(said, 25)
    rows = np.ones((25, WIDTH), np.float32)
    said.server_says_raw(UP, encode(MotionResponse(f"id of {UP}", REQ, True, rows)))
    said.ends(UP, 0)


@breaks("S-EGRESS-SILENT", SERVER)
def motion_beside_an_egress(said: Dialogue) -> None:
    asked(said, 1, ConfigureSession(RATE, egress_type=EgressType.LIVEKIT))
    said.motion(UP, REQ, 1, end=True)
    said.ends(UP, 0)


@breaks("S-INTERRUPT", SERVER)
def motion_long_after_the_interrupt(said: Dialogue) -> None:
    said.opened(UP)
    said.configures(UP)
    said.confirms(UP)
    said.client_says(UP, AudioInput(REQ, voice("cut")))
    said.client_says(UP, Interrupt(REQ))
    said.happens(Lane.KIT, UP, WaitEnded(Awaited.SILENCE, True))
    said.motion(UP, REQ, 5)


@breaks("S-IDLE", SERVER)
def an_idle_time_out_in_mid_speech(said: Dialogue) -> None:
    egress = LiveKitEgress("wss://room.invalid", idle_timeout=2)
    said.opened(UP)
    said.client_says(UP, ConfigureSession(RATE, egress_type=EgressType.LIVEKIT, livekit_egress=egress))
    said.confirms(UP)
    for number in range(5):
        said.client_says(UP, AudioInput(REQ, voice(f"piece {number}", KEYFRAME)))
        said.passes(0.5)
    said.server_says(UP, ServerError(f"id of {UP}", "", 0, "no audio input for 2 seconds"))


@breaks("S-PLAYBACK-STATE", SERVER)
def a_report_that_was_not_confirmed(said: Dialogue) -> None:
    said.opened(UP)
    said.configures(UP)
    said.confirms(UP)
    said.client_says(UP, Pause(REQ))
    said.server_says(UP, PlaybackNews(f"id of {UP}", REQ, PlaybackPhase.UNKNOWN))
