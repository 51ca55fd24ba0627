"""Rules on turns that a client cuts off: by an interrupt, by its next turn, by hanging up."""

from collections.abc import Iterator

from spatius_sim.rules.findings import Broken, Kept, Late
from spatius_sim.rules.lag import in_time
from spatius_sim.rules.rule import Half, Level, Provenance, rule
from spatius_sim.story.join import Delivery, Story, Turn
from spatius_sim.trace.events import Closed, Event, Lane, Matter, Opened, Watched
from spatius_sim.wires.features import AUDIO, CLIENT_AUDIO, OWN_UPSTREAM, SEVERAL_TURNS, STREAMING

HANG_UP_SECONDS = 5.0
"""How long an upstream session may outlive its client (rules.md)."""

_HUNG_UP = Closed(by_kit=True, code=1000)


@rule(
    "R-STALE",
    Level.MUST,
    "after an interrupt or over a new turn no payload MUST bear another turn's id and, on a wire without "
    "turn ids, nothing of the old turn follow the new turn's first audio; where the client brings the "
    "audio, what Motion Server sent before it had the new turn's may still come",
    "seed:002",
    Provenance.DOCUMENTED,
    presumes=("R-MOTION-VERBATIM", "R-TURNS", "U-TURN-ID"),
    needs=(CLIENT_AUDIO, SEVERAL_TURNS),
)
def stale(story: Story) -> Iterator[Kept | Broken]:
    """R-STALE. What is on its way when the next turn begins may come until the next turn's audio does."""
    for turn in story.turns:
        begun = _begun(story, turn)
        for old in _cut_off_before(turn):
            if begun is not None and old.requests:
                broken = [*_under_another_id(story, old, turn), *_behind(story, old, turn, begun)]
                yield from broken or (Kept(),)


@rule(
    "U-HANGUP",
    Level.SHOULD,
    "after its client's closing handshake the upstream session SHOULD be closed within 5 s",
    "docs:lifecycle",
    Provenance.DOCUMENTED,
    presumes=(),
    needs=(OWN_UPSTREAM, CLIENT_AUDIO, STREAMING),
    waits="the relay has five seconds to hang up",
    seen_in=Half.UPSTREAM,
)
def hang_up(story: Story) -> Iterator[Kept | Broken | Late]:
    """U-HANGUP. Sessions that carried no audio of the client are nobody's."""
    waits = [
        event
        for event in story.trace.on(Lane.KIT)
        if isinstance(event.what, Watched) and event.what.matter is Matter.HANG_UP
    ]
    for wait in waits:
        left = _left(story, wait)
        if left is None:
            continue
        for upstream in _upstreams(story, wait.connection):
            opened, closed = _life(story, upstream)
            if closed < left:
                continue
            seen = min(closed, wait.seq)
            broken = Broken(
                f"the upstream session of {wait.connection} closed within {HANG_UP_SECONDS:.0f} s of its "
                "hanging up (a relay that keeps a pool of them declares that it lacks own-upstream)",
                f"{upstream} was still open",
                (left, seen),
            )
            outcome = in_time(story.trace, max(left, opened), seen, HANG_UP_SECONDS, broken)
            # A wait that was cut short shows nothing.
            if seen == closed or not isinstance(outcome, Kept):
                yield outcome


def _cut_off_before(turn: Turn) -> Iterator[Turn]:
    old = turn.before
    while old is not None:
        if old.abandoned:
            yield old
        old = old.before


def _begun(story: Story, turn: Turn) -> int | None:
    """From where on nothing of an older turn may come without an id: the turn's first audio at its client or,
    where the client plays what it spoke itself, at Motion Server."""
    if AUDIO in story.trace.header.lacks:
        return min((request.first_seq for request in turn.requests if request.told_by_audio), default=None)
    return min(_pieces_of(story, turn), default=None)


def _pieces_of(story: Story, turn: Turn, *, labelled: bool | None = None) -> list[int]:
    """Where pieces of its audio came to its client."""
    return [
        piece.seq
        for conversation in story.conversations
        if conversation.client == turn.client and labelled in (None, conversation.labelled)
        for piece in conversation.pieces
        if piece.turn is turn
    ]


def _under_another_id(story: Story, old: Turn, turn: Turn) -> Iterator[Broken]:
    """What bears the turn id of the other of the two turns."""
    for delivery in story.deliveries:
        meant = delivery.sent.request.turn if delivery.sent is not None else None
        joined = delivery.conversation.turn if delivery.conversation is not None else None
        if delivery.labelled and (meant, joined) in ((old, turn), (turn, old)) and meant and joined:
            yield _misplaced("motion", meant, joined, delivery.seq)
    for conversation in story.conversations:
        for piece in conversation.pieces:
            joined = conversation.turn
            if conversation.labelled and (piece.turn, joined) in ((old, turn), (turn, old)) and joined:
                yield _misplaced("audio", piece.turn or turn, joined, piece.seq)


def _misplaced(what: str, meant: Turn, joined: Turn, seq: int) -> Broken:
    return Broken(f"{what} of {meant.name} under that turn's id", f"it bore the id of {joined.name}", (seq,))


def _behind(story: Story, old: Turn, turn: Turn, begun: int) -> Iterator[Broken]:
    """What of the old turn came without a turn id when the new one had begun."""
    played_by_client = AUDIO in story.trace.header.lacks
    audio = [] if played_by_client else [s for s in _pieces_of(story, old, labelled=False) if s > begun]
    motion = [delivery.seq for delivery in story.deliveries if _is_behind(story, delivery, old, begun)]
    for what, seqs in (("audio", audio), ("motion", motion)):
        if seqs:
            yield Broken(
                f"nothing of {old.name} once {turn.name} had begun",
                f"{what} of it came {len(seqs)} times, and no turn id told it apart",
                (begun, *seqs),
            )


def _is_behind(story: Story, delivery: Delivery, old: Turn, begun: int) -> bool:
    sent = delivery.sent
    if sent is None or sent.request.turn is not old or delivery.labelled or delivery.client != old.client:
        return False
    return (sent.seq if AUDIO in story.trace.header.lacks else delivery.seq) > begun


def _left(story: Story, wait: Event) -> int | None:
    """Where a client hung up for good."""
    downstream = story.trace.on(Lane.DOWNSTREAM)
    left = (e.seq for e in downstream if e.connection == wait.connection and e.what == _HUNG_UP)
    return max((seq for seq in left if seq < wait.seq), default=None)


def _upstreams(story: Story, client: str) -> list[str]:
    """The sessions that carried this client's audio."""
    names = (r.connection for r in story.requests if r.turn is not None and r.turn.client == client)
    return list(dict.fromkeys(names))


def _life(story: Story, upstream: str) -> tuple[int, int]:
    """Where a session was opened and closed; the end of the trace where it was not."""
    events = [event for event in story.trace.on(Lane.UPSTREAM) if event.connection == upstream]
    opened = next((event.seq for event in events if isinstance(event.what, Opened)), 0)
    closed = next((event.seq for event in events if isinstance(event.what, Closed)), len(story.trace.events))
    return opened, closed
