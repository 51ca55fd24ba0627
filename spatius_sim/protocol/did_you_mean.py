"""Tells which known name an unknown one may have been meant for."""

from collections.abc import Iterable
from difflib import get_close_matches

_NEAR = 0.7
_MAX_NEAR = 3
_MAX_LISTED = 24


def suggest_names(name: str, known: Iterable[str], where: str = "") -> str:
    """Return what an error suggests after "no such name": the `known` names that are spelt like `name`. If no
    known name is, return all known names, or, if they are many, the text `where`, which says where they are
    listed."""
    names = list(known)
    by_lower = {candidate.lower(): candidate for candidate in names}
    near = [by_lower[match] for match in get_close_matches(name.lower(), by_lower, _MAX_NEAR, _NEAR)]
    if not near and name:
        near = [candidate for candidate in names if name.lower() in candidate.lower()][:_MAX_NEAR]
    if near:
        return f"did you mean {' or '.join(near)}?"
    return where if where and len(names) > _MAX_LISTED else f"there are {', '.join(names)}"
