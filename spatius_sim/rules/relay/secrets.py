"""R rules on credentials, which must stay on the backend."""

from collections.abc import Iterator

from spatius_sim.rules.findings import Broken, Kept
from spatius_sim.rules.rule import Advice, Half, Level, Provenance, Speech, rule
from spatius_sim.story.turn_story import Story
from spatius_sim.trace.events import Lane, Opened, Received, SecretKnown, SecretSeen

_TELLING_LENGTH = 16
"""The shortest secret that is judged: a message may contain a shorter text by chance."""


@rule(
    "R-SECRETS",
    Level.MUST,
    "no API key or session token MUST reach the client, in any message or header: plain, in upper or lower "
    "case, escaped, URL-encoded, in base64 or in hex (no other form is searched for)",
    "seed:000, seed:001",
    Provenance.DOCUMENTED,
    seen_in=Half.DOWNSTREAM,
    speech=Speech.NOT_COMPARED,
    advice=Advice(
        "nothing, but anybody who looks at the traffic can run sessions at your cost",
        "a configuration or an error text is passed on whole",
        "take it out of the place under Actual, and replace the key: others may have seen it",
    ),
)
def check_no_secret_leaks(story: Story) -> Iterator[Kept | Broken]:
    """Check each message and header from the relay that reached a client. It must contain no API key and no
    session token that the kit knows."""
    known_secrets = [
        event.content
        for event in story.trace.on_lane(Lane.KIT)
        if isinstance(event.content, SecretKnown) and event.content.length >= _TELLING_LENGTH
    ]
    kinds = {secret.kind for secret in known_secrets}
    knows_a_key = any(kind.startswith("key") for kind in kinds)
    for event in story.trace.on_lane(Lane.DOWNSTREAM):
        match event.content:
            case SecretSeen(kind, place) if kind in kinds:
                actual = f"{event.connection} was sent {kind}, {place}"
                yield Broken("no API key and no session token", actual, (event.seq,), seen_once_suffices=True)
            case Received() if knows_a_key:
                yield Kept()


@rule(
    "R-TOKENLESS",
    Level.MUST,
    "the client MUST be served without Spatius credentials (a login of the relay's own is none)",
    "seed:002",
    Provenance.DOCUMENTED,
    advice=Advice(
        "a still and silent face for every client without Spatius credentials",
        "the relay takes the session token or the app id from its client",
        "fetch the token on the backend; let clients prove who they are by a login of the relay's own",
    ),
)
def check_clients_without_credentials(story: Story) -> Iterator[Kept | Broken]:
    """Check clients that have no Spatius credentials: the relay must serve them. The rule is broken only if
    every client that was served had such credentials. If nobody was served, the relay may want a login of its
    own."""
    served_turns = [turn for turn in story.turns if any(payload.deliveries for payload in turn.payloads)]
    holders = {
        event.connection: event.seq
        for event in story.trace.on_lane(Lane.DOWNSTREAM)
        if isinstance(event.content, Opened) and event.content.token
    }
    for turn in served_turns:
        if turn.client not in holders:
            yield Kept()
    if served_turns and all(turn.client in holders for turn in served_turns):
        for turn in story.clean_turns:
            if turn.client not in holders:
                yield Broken(
                    f"{turn.name} served without Spatius credentials",
                    f"it was not, and {served_turns[0].name}, which had some, was",
                    (turn.started_seq, holders[served_turns[0].client]),
                )
