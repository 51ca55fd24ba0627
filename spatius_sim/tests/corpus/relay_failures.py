"""The smallest failures of the rules for relays."""

from spatius_sim.model.scenario.scenario import CloseWith
from spatius_sim.model.scenario.spoil_messages import grow_message
from spatius_sim.protocol.codec import decode, encode
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.tests.corpus.failures import breaks
from spatius_sim.tests.rules.traces import DAY, RATE, Dialogue, req_of, up_of, voice
from spatius_sim.trace.events import Awaited, Lane, Opened, Provocation, WaitEnded
from spatius_sim.wires.events import Failed
from spatius_sim.wires.optional_features import LATE_MOTION

ANN = "ann"
UP, REQ = up_of(ANN, 0), req_of(ANN, 0)
_NO_FORMAT = 7


def answered(said: Dialogue, number: int = 0, turn_id: str = "") -> tuple[bytes, bytes]:
    """A turn whose audio went both ways; the motion that the relay has yet to deliver."""
    said.echoes(ANN, number, said.speaks(ANN, number), turn_id)
    return said.answers(ANN, number)


@breaks("U-TOKEN")
def a_token_for_two_days(said: Dialogue) -> None:
    said.token(2 * DAY)


@breaks("U-CONFIGURE")
def an_audio_format_that_does_not_exist(said: Dialogue) -> None:
    said.token()
    said.opened(UP)
    said.configures(UP, audio_format=_NO_FORMAT)


@breaks("U-AUDIO-END")
def two_end_marks(said: Dialogue) -> None:
    pcm = said.speaks()
    said.audio_up(UP, REQ, pcm, end=True)
    said.audio_up(UP, REQ, end=True)
    said.audio_down(ANN, pcm, last=True)
    said.motion_down(ANN, *said.answers())
    said.ends(ANN, 0)


@breaks("R-MOTION-VERBATIM")
def a_payload_under_another_id(said: Dialogue) -> None:
    first, second = answered(said)
    read = decode(first)
    assert isinstance(read, MotionResponse)
    own = encode(MotionResponse(read.connection_id, "an id of its own", read.end, read.keyframes))
    said.motion_down(ANN, own, second, last=True)
    said.ends(ANN, 0)


@breaks("R-MOTION-COMPLETE")
def a_lost_payload(said: Dialogue) -> None:
    _, second = answered(said)
    said.motion_down(ANN, second, last=True)
    said.ends(ANN, 0)


@breaks("R-MOTION-ORDER")
def swapped_payloads(said: Dialogue) -> None:
    first, second = answered(said)
    said.motion_down(ANN, second, first, last=True)
    said.ends(ANN, 0)


@breaks("R-END-AUDIO")
def no_end_mark(said: Dialogue) -> None:
    pcm = said.speaks()
    said.audio_up(UP, REQ, pcm, end=True)
    said.audio_down(ANN, pcm)
    said.motion_down(ANN, *said.answers(), last=True)
    said.ends(ANN, 0)


@breaks("R-AUDIO-COMPLETE")
def half_of_the_audio(said: Dialogue) -> None:
    pcm = said.speaks()
    said.audio_up(UP, REQ, pcm, end=True)
    said.audio_down(ANN, pcm[: len(pcm) // 2], last=True)
    said.motion_down(ANN, *said.answers(), last=True)
    said.ends(ANN, 0)


@breaks("R-AUDIO-FIRST")
def motion_before_audio(said: Dialogue) -> None:
    pcm = said.speaks()
    said.audio_up(UP, REQ, pcm, end=True)
    said.motion_down(ANN, *said.answers(), last=True)
    said.audio_down(ANN, pcm, last=True)
    said.ends(ANN, 0)


@breaks("R-TURNS")
def motion_in_the_turn_before(said: Dialogue) -> None:
    said.turn(ANN, 0, "a")
    said.motion_down(ANN, *answered(said, 1, "b"), last=True, turn_id="a")
    said.ends(ANN, 1)


@breaks("R-ISOLATION")
def motion_at_another_client(said: Dialogue) -> None:
    said.turn("bob")
    payload, _ = said.turn(ANN)
    said.motion_down("bob", payload)


@breaks("R-CONVERSATION")
def an_empty_list_before_the_motion(said: Dialogue) -> None:
    payloads = answered(said)
    said.motion_down(ANN)
    said.motion_down(ANN, *payloads, last=True)
    said.ends(ANN, 0)


@breaks("R-SECRETS")
def the_key_in_a_message(said: Dialogue) -> None:
    said.secret_known("key#1")
    said.audio_down(ANN, voice("greeting"))
    said.secret_seen(ANN, "key#1")


def failing(said: Dialogue) -> bytes:
    """A turn as usual, and one in which Motion Server closes its session; what the client says in it."""
    said.turn(ANN, 0)
    pcm = said.speaks(ANN, 1)
    said.audio_up(up_of(ANN, 1), req_of(ANN, 1), pcm, end=True)
    said.fault(CloseWith(1000))
    return pcm


@breaks("U-RETRY")
def one_attempt_after_the_other(said: Dialogue) -> None:
    said.ready(ANN)
    for number in range(7):
        said.token()
        said.refused(f"up {number}", 402, "session denied")


@breaks("R-RECOVER")
def no_motion_any_more(said: Dialogue) -> None:
    said.audio_down(ANN, failing(said), last=True)
    said.hears(ANN, Failed("motion failed"))
    said.ends(ANN, 1, complete=False)
    said.starts(ANN, 2, voice("again"))
    said.audio_down(ANN, voice("again"), last=True)
    said.ends(ANN, 2, complete=False)


@breaks("R-FALLBACK")
def audio_that_never_ends(said: Dialogue) -> None:
    said.audio_down(ANN, failing(said))
    said.hears(ANN, Failed("motion failed"))
    said.passes(16.0)
    said.ends(ANN, 1, complete=False)


@breaks("R-ERROR-TOLD")
def not_a_word(said: Dialogue) -> None:
    said.audio_down(ANN, failing(said), last=True)
    said.passes(16.0)
    said.ends(ANN, 1, complete=False)


def lost(said: Dialogue, size: int) -> None:
    """A turn as usual, and one of which a payload of so many bytes is lost."""
    said.turn(ANN, 0)
    said.echoes(ANN, 1, said.speaks(ANN, 1))
    up, req = up_of(ANN, 1), req_of(ANN, 1)
    said.server_says_raw(up, grow_message(said.payload(up, req, 3), size))
    said.motion_down(ANN, said.motion(up, req, 2, end=True), last=True)
    said.ends(ANN, 1)


@breaks("R-LARGE")
def a_large_payload_lost(said: Dialogue) -> None:
    lost(said, 65_536)


@breaks("R-HUGE")
def a_huge_payload_lost(said: Dialogue) -> None:
    lost(said, 65_537)


@breaks("R-TOKENLESS")
def a_client_with_credentials_alone_is_served(said: Dialogue) -> None:
    said.happens(Lane.DOWNSTREAM, ANN, Opened())
    said.happens(Lane.DOWNSTREAM, "bob", Opened("token#9"))
    said.starts(ANN, 0, voice("ann"))
    said.ends(ANN, 0, complete=False)
    said.turn("bob")


@breaks("U-TOKEN-FRESH")
def one_token_for_two_connections(said: Dialogue) -> None:
    said.token()
    said.opened(UP)
    said.opened("another")


@breaks("U-TURN-ID")
def audio_behind_the_end(said: Dialogue) -> None:
    said.audio_up(UP, REQ, said.speaks(), end=True)
    said.audio_up(UP, REQ, bytes(640))


@breaks("U-AUDIO-ALIGNED")
def half_a_sample(said: Dialogue) -> None:
    said.connects(UP)
    said.audio_up(UP, REQ, voice("ann") + bytes(1), end=True)


@breaks("U-RATE")
def speech_at_half_the_rate(said: Dialogue) -> None:
    pcm = voice(ANN, 2 * RATE)
    said.starts(ANN, 0, pcm)
    said.connects(UP, RATE // 2)
    said.echoes(ANN, 0, pcm)
    said.motion_down(ANN, *said.answers())
    said.ends(ANN, 0)


@breaks("U-AUDIO-COMPLETE")
def speech_that_is_lost_both_ways(said: Dialogue) -> None:
    said.echoes(ANN, 0, said.speaks()[640:])
    said.motion_down(ANN, *said.answers())
    said.ends(ANN, 0)


@breaks("R-END-MOTION")
def no_mark_behind_the_motion(said: Dialogue) -> None:
    said.motion_down(ANN, *answered(said), last=False)
    said.ends(ANN, 0)


@breaks("R-LATE-MARK", lacks=(LATE_MOTION,))
def motion_behind_the_end_mark_of_the_audio(said: Dialogue) -> None:
    said.motion_down(ANN, *answered(said))
    said.ends(ANN, 0)


@breaks("R-STALE")
def motion_of_a_turn_that_was_interrupted(said: Dialogue) -> None:
    said.audio_up(UP, REQ, said.speaks(), end=True)
    said.client_interrupts(ANN)
    payloads = answered(said, 1)
    said.motion_down(ANN, said.motion(UP, REQ), *payloads)
    said.ends(ANN, 1)


@breaks("U-HANGUP")
def a_session_that_outlives_its_client(said: Dialogue) -> None:
    said.audio_up(UP, REQ, said.speaks())
    said.hangs_up(ANN)
    said.passes(5.3)
    said.watched_hang_up(ANN, complete=False)


@breaks("R-SLOWCLIENT")
def a_client_that_waits_for_a_slow_one(said: Dialogue) -> None:
    said.turn(ANN)
    said.turn("bob")
    spoken = said.speaks(ANN, 1)
    said.intends(ANN, Provocation.UNREAD)
    said.speaks("bob", 1)
    said.ends("bob", 1, complete=False)
    said.intends(ANN, Provocation.READ_ON)
    said.echoes(ANN, 1, spoken)
    first, second = said.answers(ANN, 1)
    said.motion_down(ANN, first)
    said.motion_down(ANN, second, last=True)
    said.ends(ANN, 1)


@breaks("R-BADINPUT")
def a_turn_that_is_lost_to_anothers_rubbish(said: Dialogue) -> None:
    said.turn("bob")
    said.intends(ANN, Provocation.RUBBISH)
    said.speaks("bob", 1)
    said.ends("bob", 1, complete=False)


@breaks("R-ALIVE")
def a_relay_that_does_nothing_any_more(said: Dialogue) -> None:
    said.turn(ANN)
    said.turn(ANN, 1)
    said.happens(Lane.KIT, "", WaitEnded(Awaited.LIFE, complete=False))
