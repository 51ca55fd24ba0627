"""R rules on a Motion Server that refuses, fails or goes silent: the turn in which it does, and the next."""

from collections.abc import Iterator

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, KEYFRAMES_PER_SECOND
from spatius_sim.rules.findings import Broken, Kept, Late
from spatius_sim.rules.lag import in_time
from spatius_sim.rules.rule import Level, Provenance, rule
from spatius_sim.story.heard import client_hears
from spatius_sim.story.join import Story, Turn
from spatius_sim.trace.events import Closed, Injected, Lane, Sent
from spatius_sim.wires.events import Failed, Motion
from spatius_sim.wires.features import AUDIO, CLIENT_AUDIO, ERRORS, PCM

_ORDINARY_CLOSES = (1000, 1001, 1005)
"""Codes that tell a client of no failure; 1005 stands for none."""


@rule(
    "R-RECOVER",
    Level.MUST,
    "after an upstream failure the next turn MUST work, on the same or a new connection",
    "docs:state-events",
    Provenance.DOCUMENTED,
)
def recover(story: Story) -> Iterator[Kept | Broken]:
    """R-RECOVER. How well the next turn works is for other rules: this one asks for some audio and some
    motion of it."""
    for before, turn in _with_the_turn_before(story):
        if not before.lost_motion or turn.failures or not turn.calm:
            continue
        missing = []
        if not turn.audio_down:
            missing.append("audio")
        if not any(d.client == turn.client for payload in turn.payloads for d in payload.deliveries):
            missing.append("motion")
        if not missing:
            yield Kept()
            continue
        events = (before.failures[0].seq, turn.started_seq)
        expected = f"{turn.name} works again after {_told(before)} in the one before"
        yield Broken(expected, f"no {' and no '.join(missing)} of it came", events)


@rule(
    "R-FALLBACK",
    Level.SHOULD,
    "when Motion Server refuses, fails or goes silent, the client SHOULD still get the audio, marked as "
    "ended, within the fallback wait: all that it said, or else what went up",
    "seed:002; the wait is our reading",
    Provenance.DOCUMENTED,
    presumes=("R-END-AUDIO", "R-AUDIO-COMPLETE", "R-AUDIO-FIRST"),
    needs=(AUDIO,),
    waits="a relay needs time to notice that Motion Server is silent",
)
def fallback(story: Story) -> Iterator[Kept | Broken | Late]:
    """R-FALLBACK."""
    wait = story.trace.header.fallback_wait
    for turn in _without_motion(story):
        wanted, rate = _owed(story, turn)
        if not wanted:
            continue
        expected = f"the audio of {turn.name}, marked as ended, {wait:g} s after {_told(turn)} at the latest"
        got = turn.audio_down
        marks = [mark for conversation in turn.conversations for mark in conversation.marks]
        last = max((c.last_audio_seq or 0 for c in turn.conversations), default=0)
        behind = [mark for mark in marks if mark >= last]
        if not _holds(story, turn, got, wanted, rate):
            actual = f"{len(got)} bytes of audio came, and {len(wanted)} were owed"
            yield from _never(story, turn, Broken(expected, actual, _proof(turn)))
        elif not behind:
            yield from _never(story, turn, Broken(expected, "its end was never marked", _proof(turn)))
        else:
            since, came = _tried_since(story, turn), min(behind)
            late = Broken(expected, "the mark came later", (*_proof(turn), came))
            yield in_time(story.trace, since, came, wait, late)


@rule(
    "R-ERROR-TOLD",
    Level.SHOULD,
    "the client SHOULD be told, in the wire's own way, that motion failed",
    "docs:state-events",
    Provenance.DOCUMENTED,
    needs=(ERRORS,),
    waits="a relay needs time to notice that Motion Server is silent",
)
def error_told(story: Story) -> Iterator[Kept | Broken | Late]:
    """R-ERROR-TOLD. An empty list of motion tells a client, too, to go on with audio alone (seed:002), and so
    does a close with a code that no ordinary close has."""
    wait = story.trace.header.fallback_wait
    for turn in _without_motion(story):
        expected = f"{turn.client} is told within {wait:g} s that motion failed, after {_told(turn)}"
        told = _first_word(story, turn)
        if told is None:
            yield from _never(story, turn, Broken(expected, "nothing told it", _proof(turn)))
        else:
            late = Broken(expected, "it was told later", (*_proof(turn), told))
            yield in_time(story.trace, _tried_since(story, turn), told, wait, late)


def _with_the_turn_before(story: Story) -> Iterator[tuple[Turn, Turn]]:
    return ((turn.before, turn) for turn in story.turns if turn.before is not None)


def _without_motion(story: Story) -> Iterator[Turn]:
    return (turn for turn in story.turns if turn.calm and turn.lost_motion)


def _owed(story: Story, turn: Turn) -> tuple[bytes, int]:
    """What of its audio a client can count on, and the rate: all that it said, or else what went up."""
    if CLIENT_AUDIO not in story.trace.header.lacks:
        return turn.pcm, turn.sample_rate
    went_up = b"".join(bytes(request.audio) for request in turn.requests)
    return went_up, turn.requests[0].sample_rate if turn.requests else 0


def _holds(story: Story, turn: Turn, got: bytes, wanted: bytes, rate: int) -> bool:
    """Whether what came holds what was owed. Where a relay changes audio in clean turns, too, its length must
    do, to 40 ms."""
    if wanted in got or PCM in story.trace.header.lacks:
        return True
    clean = [one for one in story.clean_turns if one.client == turn.client]
    if any(one.audio_down == one.pcm for one in clean):
        return False
    down_rate = story.output_rates.get(turn.client, rate)
    missing = len(wanted) * down_rate - len(got) * rate
    return missing * KEYFRAMES_PER_SECOND <= BYTES_PER_SAMPLE * rate * down_rate


def _first_word(story: Story, turn: Turn) -> int | None:
    """Where the client was first told that there is no motion to wait for."""
    since, until = turn.failures[0].seq, turn.until_seq
    words = [
        event.seq
        for event, said in client_hears(story.trace, since, until)
        if event.connection == turn.client
        and (isinstance(said, Failed) or (isinstance(said, Motion) and not said.payloads))
    ]
    return min(
        words + [seq for seq, code in _closes(story, turn) if code not in _ORDINARY_CLOSES], default=None
    )


def _never(story: Story, turn: Turn, broken: Broken) -> Iterator[Broken | Late]:
    """Absence, where the wait for it was long enough, or the relay has ended the connection."""
    assert turn.waited_seq is not None
    if _closes(story, turn):
        yield broken
        return
    wait = story.trace.header.fallback_wait
    outcome = in_time(story.trace, _tried_since(story, turn), turn.waited_seq, wait, broken)
    if not isinstance(outcome, Kept):
        yield outcome


def _closes(story: Story, turn: Turn) -> list[tuple[int, int]]:
    """Where the relay closed the turn's connection, and with which code."""
    return [
        (event.seq, event.what.code)
        for event in story.trace.events[turn.failures[0].seq : turn.until_seq]
        if event.lane is Lane.DOWNSTREAM
        and event.connection == turn.client
        and isinstance(event.what, Closed)
        and not event.what.by_kit
    ]


def _tried_since(story: Story, turn: Turn) -> int:
    """From where on a relay's time runs: Motion Server has failed, and all was said."""
    said = (
        event.seq
        for event in story.trace.events[turn.started_seq : turn.waited_seq]
        if event.lane is Lane.DOWNSTREAM and event.connection == turn.client and isinstance(event.what, Sent)
    )
    return max(turn.failures[0].seq, *said, turn.started_seq)


def _told(turn: Turn) -> str:
    what = turn.failures[0].what
    return f"a fault ({what.fault})" if isinstance(what, Injected) else "a fault"


def _proof(turn: Turn) -> tuple[int, ...]:
    return turn.failures[0].seq, turn.started_seq
