"""Draws plans with probes: special sessions and deliberate mistakes for a Motion Server under test."""

from collections.abc import Sequence
from itertools import product, starmap

from hypothesis import strategies as st

from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, Plan, Sound, TurnPlan
from spatius_sim.plans.server_probes import (
    ClipProbe,
    Departure,
    DepartureMoment,
    EgressProbe,
    ExpiryProbe,
    HandshakeProbe,
    InterruptedRequest,
    InterruptMoment,
    InterruptProbe,
    LateInterruptProbe,
    LeavingProbe,
    LongProbe,
    ManySessionsProbe,
    OpusProbe,
    PauseProbe,
    PiecesProbe,
    Probe,
    RepeatedClipProbe,
    SharedIdProbe,
    TokenProbe,
    UpgradeProbe,
)
from spatius_sim.protocol.audio import (
    BYTES_PER_SAMPLE,
    KEYFRAMES_PER_SECOND,
    OPUS_SAMPLE_RATES,
    PCM_SAMPLE_RATES,
)
from spatius_sim.protocol.messages import EgressType
from spatius_sim.trace.events import Provocation

_HOUR, _DAY = 3600, 24 * 3600
_LIVES_OUTSIDE = (-10 * _DAY, -_HOUR, -120, _DAY + 120, _DAY + _HOUR, 30 * _DAY)
"""Lives of tokens in seconds, all outside the window. Nearer to the borders of the window the two clocks may
disagree."""

_ONE_SHORT_TURN = (TurnPlan(PLAN_SAMPLE_RATE // 2, 3200),)
_SHORT_SAMPLES, _LONG_SAMPLES = PLAN_SAMPLE_RATE // 2, PLAN_SAMPLE_RATE * 5 // 2
"""The motion of half a second fits into the first segment, that of 2.5 seconds does not."""

_MANY_SESSIONS = 8

_BACKLOG_SAMPLES = PLAN_SAMPLE_RATE * 12
"""Said at once, this is more than a server makes ahead that answers in real time: some motion must wait."""

_CLIP_RATE, _LONG_CLIP_SECONDS, _TRIAL_SECONDS = 8000, 90, 8
"""Motion for 85 s in one message is too large for an SDK. A server that makes motion five seconds ahead of
real time at most does not answer the trial in a second."""

_LEFT_BEHIND_SAMPLES = PLAN_SAMPLE_RATE * 20

_CLIP_BYTES = 1_948_800
"""What sdk-e2e sends in one message, at 48 kHz: 20.3 s of speech."""
ODD_CHUNKS = (
    Plan(
        (
            (
                TurnPlan(2 * PLAN_SAMPLE_RATE, 641),
                TurnPlan(2 * PLAN_SAMPLE_RATE, 6400, first_chunks=(1, 3, 32_000, 0), chunk_pause_ms=300),
                TurnPlan(4 * PLAN_SAMPLE_RATE, 8 * PLAN_SAMPLE_RATE),
                TurnPlan(2 * PLAN_SAMPLE_RATE, 6400),
            ),
        )
    ),
    Plan(((TurnPlan(_CLIP_BYTES // BYTES_PER_SAMPLE, _CLIP_BYTES),),), sample_rate=48_000),
)
"""Turns of whole keyframes, so that one lost sample costs a keyframe. The audio comes in messages with an odd
number of bytes, with one byte, without bytes, with gaps between them, and all in one: at last in one that is
as large as a vendor's clip. A turn follows the one that is said in one message, and shows what comes after
its end."""


def _turn_at(rate: int, keyframes: float) -> TurnPlan:
    """Return a turn at this sample rate (Hz) that lasts as long as so many keyframes."""
    return TurnPlan(int(keyframes * rate / KEYFRAMES_PER_SECOND), rate // 5 * BYTES_PER_SAMPLE)


ALL_RATES = tuple(
    Plan(
        ((_turn_at(rate, 57.95), _turn_at(rate, 58.05)) if rate % 1000 else (_turn_at(rate, 57.95),),),
        sample_rate=rate,
    )
    for rate in PCM_SAMPLE_RATES
)
"""Turns at every sample rate that Motion Server takes. They end a twentieth of a keyframe before a whole
keyframe: a server that takes a keyframe's samples for too few makes one too many. At rates without a whole
number of samples in a millisecond, another ends as much after one: a server may take them for too many."""

LONG_AND_MANY = (
    Plan((tuple(TurnPlan(3 * PLAN_SAMPLE_RATE, 6400) for _ in range(4)),)),
    Plan(((TurnPlan(15 * PLAN_SAMPLE_RATE, 6400),),)),
)
"""Four turns in one session, and a turn of whole segments."""

ALL_SOUNDS = (Plan((tuple(TurnPlan(3 * PLAN_SAMPLE_RATE, 6400, sound=sound) for sound in Sound),)),)
"""Speech with and without a long pause, clipped speech, and silence."""


def token_windows() -> st.SearchStrategy[Plan]:
    """Draw plans that probe a Motion Server by requests for tokens that expire in the past, or too far
    ahead."""
    return _draw_plan_probing([TokenProbe(life) for life in _LIVES_OUTSIDE])


def bad_keys() -> st.SearchStrategy[Plan]:
    """Draw plans that probe a Motion Server by token requests with a wrong API key, or with no key."""
    return _draw_plan_probing(
        [TokenProbe(_HOUR, provocation) for provocation in (Provocation.WRONG_KEY, Provocation.MISSING_KEY)]
    )


def bad_upgrades() -> st.SearchStrategy[Plan]:
    """Draw plans that probe a Motion Server by WebSocket upgrades with an invented token, with no token, or
    with an unknown avatar id. These come in the headers or in the query of the URL."""
    provocations = (Provocation.INVENTED_TOKEN, Provocation.MISSING_TOKEN, Provocation.UNKNOWN_AVATAR)
    return _draw_plan_probing(
        [
            UpgradeProbe(provocation, token_in_query)
            for provocation in provocations
            for token_in_query in (False, True)
        ]
    )


def bad_handshakes() -> st.SearchStrategy[Plan]:
    """Draw plans that probe a Motion Server by a wrong first message: one that is not a configuration, or a
    configuration with a sample rate that the server does not support."""
    provocations = (
        Provocation.WRONG_MESSAGE,
        Provocation.TEXT,
        Provocation.UNDECODABLE,
        Provocation.UNSUPPORTED_RATE,
    )
    return _draw_plan_probing([HandshakeProbe(provocation) for provocation in provocations])


def egresses() -> st.SearchStrategy[Plan]:
    """Draw the plan that probes a Motion Server by a session with an egress: the server sends the motion to a
    room of LiveKit, not back on the socket. `LASTING` has one of Agora, too."""
    return st.just(_make_plan((EgressProbe(EgressType.LIVEKIT, _LONG_SAMPLES),)))


def late_interrupts() -> tuple[Plan, ...]:
    """Return one plan, in a tuple, that probes a Motion Server: while a request is spoken, an interrupt names
    the request before, which has ended."""
    return (_make_plan((LateInterruptProbe(_LONG_SAMPLES),)),)


def shared_ids() -> tuple[Plan, ...]:
    """Return one plan, in a tuple, that probes a Motion Server: two connections use the same req_ids."""
    return (_make_plan((SharedIdProbe(_LONG_SAMPLES),)),)


def departures() -> tuple[Plan, ...]:
    """Return one plan, in a tuple, that probes a Motion Server: sessions are left in mid-speech and with
    their motion under way, and others follow. It has no ordinary turn: the probe itself ends with some."""
    ways = tuple(starmap(Departure, product(DepartureMoment, (True, False))))
    return (Plan((), (LeavingProbe(ways, _LEFT_BEHIND_SAMPLES, _SHORT_SAMPLES),)),)


def long_clips() -> tuple[Plan, ...]:
    """Return one plan, in a tuple, that probes a Motion Server: its motion for a long clip fits into no
    single message."""
    probe = ClipProbe(_TRIAL_SECONDS * _CLIP_RATE, _LONG_CLIP_SECONDS * _CLIP_RATE, _CLIP_RATE)
    return (_make_plan((probe,)),)


def many_sessions() -> tuple[Plan, ...]:
    """Return one plan, in a tuple, that probes a Motion Server: more sessions at once than the small price
    plans of the service have."""
    return (_make_plan((ManySessionsProbe(_MANY_SESSIONS, _SHORT_SAMPLES),)),)


def ogg_opus() -> tuple[Plan, ...]:
    """Return one plan, in a tuple, that probes a Motion Server: Ogg Opus at each rate that the documents
    name. The first is one that PCM has, too."""
    others = (rate for rate in OPUS_SAMPLE_RATES if rate != PLAN_SAMPLE_RATE)
    return (_make_plan((OpusProbe((PLAN_SAMPLE_RATE, *others)),)),)


def long_turns() -> st.SearchStrategy[Plan]:
    """Draw plans with one turn for a Motion Server whose motion comes in more than one segment."""
    samples = st.integers(_LONG_SAMPLES, 7 * PLAN_SAMPLE_RATE)
    turns = st.builds(TurnPlan, samples, st.sampled_from([3200, 6400, 64000]))
    return turns.map(lambda turn: Plan(((turn,),)))


def _draw_plan_probing(probes: Sequence[Probe]) -> st.SearchStrategy[Plan]:
    """Draw a plan that tries one of these probes on a Motion Server, several of them in any order, or all."""
    some_probes = st.lists(st.sampled_from(probes), min_size=1, max_size=len(probes), unique=True).map(tuple)
    one_probe = st.sampled_from(probes).map(lambda probe: (probe,))
    return (one_probe | some_probes | st.just(tuple(probes))).map(_make_plan)


def _make_plan(probes: tuple[Probe, ...]) -> Plan:
    """Return a plan with these probes and an ordinary turn; the turn shows that the Motion Server answers at
    all."""
    return Plan((_ONE_SHORT_TURN,), probes)


_AT_EACH_MOMENT = InterruptProbe(
    tuple(InterruptedRequest(_BACKLOG_SAMPLES, moment) for moment in InterruptMoment), _BACKLOG_SAMPLES
)
_MORE_THAN_64 = InterruptProbe(
    (InterruptedRequest(_SHORT_SAMPLES // 5, InterruptMoment.BEFORE_END),) * 70, _SHORT_SAMPLES
)
"""So many requests as a user interrupts in a long session: a server may hold 64 open ones, or another
number."""

_LONGER_THAN_20_SECONDS = InterruptProbe(
    (InterruptedRequest(6 * PLAN_SAMPLE_RATE, InterruptMoment.IN_SPEECH),),
    PLAN_SAMPLE_RATE * 21,
    chunk_pause_ms=200,
)
"""Speech in real time: a server that takes the session for one that was never configured, or for an idle one,
ends it in the middle."""

LASTING = _make_plan(
    (
        LongProbe(
            _LONGER_THAN_20_SECONDS,
            (
                ExpiryProbe(_SHORT_SAMPLES),
                _AT_EACH_MOMENT,
                _MORE_THAN_64,
                PauseProbe(_LONG_SAMPLES),
                RepeatedClipProbe(_LONG_SAMPLES),
                PiecesProbe(EgressType.LIVEKIT, _LONG_SAMPLES, idle_timeout=2),
                PiecesProbe(EgressType.AGORA, _LONG_SAMPLES),
            ),
        ),
    )
)
"""A turn that lasts for more than 20 s, and meanwhile all other probes that must wait."""
