"""Names of apps and avatars: a new one costs the same however many are known, and old ones are forgotten."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.messages import ServerError
from spatius_sim.tape.names_to_references import MAX_CHARACTERS, NameReferences
from spatius_sim.tape.traces_on_tapes import read_traces, write_traces
from spatius_sim.tests.net.work import times_the_work
from spatius_sim.tests.tape.samples import CLEANED, sent, trace_of
from spatius_sim.trace.events import Closed, Event, Lane, Opened, Sent, Trace


def known(number: int) -> NameReferences:
    names = NameReferences()
    for one in range(number):
        names.learn("avatar", f"avatar-of-user-{one}")
    return names


def test_many_names_are_learnt_in_time_by_their_number() -> None:
    assert times_the_work(lambda number: lambda: known(number), 60) < 24


def looking(look: Callable[[NameReferences], object]) -> Callable[[int], Callable[[], object]]:
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
        pytest.param(lambda names: names.hide_in_json(NAMELESS), id="a frame without names"),
    ],
)
def test_a_text_costs_the_same_however_many_names_are_known(look: Callable[[NameReferences], object]) -> None:
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
    names = NameReferences()
    for name in given_names:
        names.learn("app", name)
    assert names.hide(text) == Reference(given_names).hide(text)


def test_old_names_are_forgotten_but_none_of_an_open_session() -> None:
    names = NameReferences()
    names.learn("avatar", "the avatar of a long call")
    names.keep_for("upstream-1", "the avatar of a long call")
    size = len("avatar-of-user-00000")
    for number in range(2 * MAX_CHARACTERS // size):
        names.learn("avatar", f"avatar-of-user-{number:05}")
    assert sum(map(len, names._references)) <= MAX_CHARACTERS + size
    assert len(names._tree) == len(names._references)
    assert names.hide("is the avatar of a long call there?") == "is avatar#1 there?"
    assert names.hide("avatar-of-user-00000") == "avatar-of-user-00000"
    assert names.hide(f"avatar-of-user-{number:05} is") == f"avatar#{number + 2} is"
    names.release_holder("upstream-1")
    for number in range(2 * MAX_CHARACTERS // size):
        names.learn("avatar", f"avatar-of-visitor-{number:05}")
    assert names.hide("is the avatar of a long call there?") == "is the avatar of a long call there?"


def test_names_that_begin_alike_are_forgotten_one_by_one() -> None:
    names = NameReferences()
    long = "x" * (MAX_CHARACTERS // 2)
    for name in ("our app", "our app 2", f"our {long}", "our app 2", f"{long} 2", "another"):
        names.learn("app", name)
    assert names.hide("our app 2, our app") == "app#2, our app"


def test_all_names_of_a_frame_are_hidden_however_many_it_holds() -> None:
    ids = [f"{number:020}" for number in range(2 * MAX_CHARACTERS // 20)]
    frame = json.dumps([{"avatarId": one} for one in ids])
    names = NameReferences()
    hidden = json.loads(names.hide_in_json(frame))
    assert hidden == [{"avatarId": f"avatar#{number + 1}"} for number in range(len(ids))]
    assert sum(map(len, names._references)) <= MAX_CHARACTERS


def test_a_name_of_countless_parts_is_hidden_where_it_is_all_there_is() -> None:
    names = NameReferences()
    spaces = " " * 30_000
    names.learn("avatar", spaces)
    assert names.hide(spaces) == "avatar#1"
    assert names.hide(f"x{spaces}{spaces}") == f"x{spaces}{spaces}"
    assert not names._tree


@pytest.mark.parametrize("depth", [300, 900, 100_000])
def test_a_nested_frame_is_hidden_as_a_text_or_as_json(depth: int) -> None:
    names = NameReferences()
    names.learn("avatar", "our-avatar")
    frame = "[" * depth + '"our-avatar"' + "]" * depth
    assert names.hide_in_json(frame) == frame.replace("our-avatar", "avatar#1")


def test_a_name_with_escapes_is_hidden_in_json() -> None:
    names = NameReferences()
    names.learn("app", "Müller")
    assert json.loads(names.hide_in_json(json.dumps({"message": "Müller is away"}))) == {
        "message": "app#1 is away"
    }


def test_a_recorder_remembers_the_names_of_open_sessions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spatius_sim.tape.names_to_references.MAX_CHARACTERS", 100)
    error = sent(Lane.UPSTREAM, encode(ServerError("c", "r", 3, "our-avatar of our-app is away")))
    others = [
        Event(0, 0, Lane.UPSTREAM, f"upstream-{number}", what)
        for number in range(2, 40)
        for what in (Opened("", "", f"avatar-of-{number}"), Closed(False, 1000))
    ]
    long_call = [
        Event(0, 0, Lane.UPSTREAM, "upstream-1", what)
        for what in (Opened("", "our-app", "our-avatar"), error)
    ]
    header = trace_of([]).header
    write_traces(tmp_path / "a.tape", CLEANED, [Trace(header, (long_call[0], *others, long_call[1]))])
    (trace,) = read_traces(tmp_path / "a.tape")
    last = trace.events[-1].content
    assert isinstance(last, Sent) and isinstance(last.value, ServerError)
    assert last.value.message == "avatar#1 of app#1 is away"
