"""R rules on what must stay on the backend."""

from collections.abc import Iterator

from spatius_sim.model.trace import Lane, Received, SecretKnown, SecretSeen
from spatius_sim.rules.findings import Broken, Check, Kept
from spatius_sim.rules.turns import Story

_TELLING_LENGTH = 16
"""A shorter key could stand in a message by chance (rules.md)."""


def secrets(story: Story) -> Iterator[Kept | Broken]:
    """R-SECRETS."""
    known = [
        event.what
        for event in story.trace.on(Lane.KIT)
        if isinstance(event.what, SecretKnown) and event.what.length >= _TELLING_LENGTH
    ]
    kinds = {secret.kind for secret in known}
    a_key_is_known = any(kind.startswith("key") for kind in kinds)
    for event in story.trace.on(Lane.DOWNSTREAM):
        match event.what:
            case SecretSeen(kind, place) if kind in kinds:
                actual = f"{event.connection} was sent {kind}, {place}"
                yield Broken("no API key and no session token", actual, (event.seq,))
            case Received() if a_key_is_known:
                yield Kept()


CHECKS: dict[str, Check] = {"R-SECRETS": secrets}
