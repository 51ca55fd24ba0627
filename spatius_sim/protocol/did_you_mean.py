"""Tells which known name an unknown one may have been meant for."""

from collections.abc import Iterable
from difflib import get_close_matches

_SIMILARITY = 0.7
_MAX_SIMILAR = 3
_MAX_LISTED = 24


def suggest_names(name: str, known_names: Iterable[str], where_listed: str = "") -> str:
    """Return the end of an error about an unknown `name`: "did you mean ...?" with up to three known names
    that are spelt like it or contain it. If there are none, return a list of all known names; if they are
    more than 24, return the text `where_listed` instead, unless it is empty."""
    all_names = list(known_names)
    name_by_lower_case = {candidate.lower(): candidate for candidate in all_names}
    similar_names = [
        name_by_lower_case[match]
        for match in get_close_matches(name.lower(), name_by_lower_case, _MAX_SIMILAR, _SIMILARITY)
    ]
    if not similar_names and name:
        similar_names = [candidate for candidate in all_names if name.lower() in candidate.lower()][
            :_MAX_SIMILAR
        ]
    if similar_names:
        return f"did you mean {' or '.join(similar_names)}?"
    return (
        where_listed if where_listed and len(all_names) > _MAX_LISTED else f"there are {', '.join(all_names)}"
    )
