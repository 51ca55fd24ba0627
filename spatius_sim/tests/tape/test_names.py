"""Names of apps and avatars: a new one costs the same however many are known, and old ones are forgotten."""

import json
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatius_sim.tape.names import Names
from spatius_sim.tests.net.work import times_the_work


def known(number: int) -> Names:
    names = Names()
    for one in range(number):
        names.learn("avatar", f"avatar-of-user-{one}")
    return names


@pytest.mark.xfail(strict=True, reason="each new name compiles one regular expression of all names")
def test_many_names_are_learnt_in_time_by_their_number() -> None:
    assert times_the_work(lambda number: lambda: known(number), 60) < 24


def looking(look: Callable[[Names], object]) -> Callable[[int], Callable[[], object]]:
    """A look at a text, fifty times, by so many known names."""

    def prepare(number: int) -> Callable[[], object]:
        names = known(number)
        look(names)
        return lambda: [look(names) for _ in range(50)]

    return prepare


TEXT = "avatar not found: avatar-of-user-1 of another-app " * 20
FRAME = json.dumps({"type": "error", "message": TEXT})
NAMELESS = json.dumps({"type": "error", "message": "nothing" * 100})


@pytest.mark.parametrize(
    "look",
    [
        pytest.param(lambda names: names.hide(TEXT), id="a text"),
        pytest.param(lambda names: names.hide_in_json(FRAME), id="a frame"),
        pytest.param(
            lambda names: names.hide_in_json(NAMELESS),
            id="a frame without names",
            marks=pytest.mark.xfail(strict=True, reason="a frame is searched for each known name"),
        ),
    ],
)
def test_a_text_costs_the_same_however_many_names_are_known(look: Callable[[Names], object]) -> None:
    assert times_the_work(looking(look), 100) < 3


class Reference:
    """The law in its shortest form: one expression of all names, longest first."""

    def __init__(self, names: list[str]) -> None:
        self.names: dict[str, str] = {}
        for name in filter(None, names):
            if name not in self.names and not name.startswith("app#"):
                self.names[name] = f"app#{len(self.names) + 1}"

    def hide(self, text: str) -> str:
        if text in self.names:
            return self.names[text]
        words = [re.escape(name) for name in sorted(self.names, key=len, reverse=True) if len(name) >= 3]
        if not words:
            return text
        return re.sub(rf"(?<![\w-])(?:{'|'.join(words)})(?![\w-])", lambda found: self.names[found[0]], text)


pieces = st.lists(st.sampled_from(["a", "ab", "-", "_", ".", " ", "é", "#", "1", "\n"]), max_size=7)
words = pieces.map("".join)


@given(st.lists(words, max_size=8), st.lists(words, max_size=4).map("".join))
def test_names_are_found_as_one_expression_of_all_would_find_them(given_names: list[str], text: str) -> None:
    names = Names()
    for name in given_names:
        names.learn("app", name)
    assert names.hide(text) == Reference(given_names).hide(text)
