"""Tells which known name an unknown one may have been meant for."""

from collections.abc import Iterable
from difflib import get_close_matches

_SIMILARITY = 0.7
_MAX_SIMILAR = 3
_MAX_LISTED = 24


def suggest_names(name: str, known: Iterable[str], where: str = "") -> str:
    """Return how an error about an unknown name goes on: "did you mean ...?" with the `known` names that are
    spelt like `name`. If none is, return all known names, or, if they are many, the text `where`, which says
    where they are listed."""
    names = list(known)
    by_lower = {candidate.lower(): candidate for candidate in names}
    similar = [
        by_lower[match] for match in get_close_matches(name.lower(), by_lower, _MAX_SIMILAR, _SIMILARITY)
    ]
    if not similar and name:
        similar = [candidate for candidate in names if name.lower() in candidate.lower()][:_MAX_SIMILAR]
    if similar:
        return f"did you mean {' or '.join(similar)}?"
    return where if where and len(names) > _MAX_LISTED else f"there are {', '.join(names)}"
