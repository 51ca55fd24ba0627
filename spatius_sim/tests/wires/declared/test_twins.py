"""The wires that are built in, declared in files: both read and write the same."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatius_sim.files.wire_file import read_shipped_wire
from spatius_sim.tests.wires.frames import any_frames
from spatius_sim.wires import Wire, published_wire, published_wire_names
from spatius_sim.wires.events import (
    Audio,
    ClientAction,
    Failed,
    Frame,
    Interrupted,
    InterruptTurn,
    Motion,
    Note,
    NotUnderstood,
    PlayClip,
    Ready,
    RelayEvent,
    Say,
    Speak,
    SpeakEnd,
    Start,
    Unclear,
)

twins = pytest.mark.parametrize(
    ("wire", "twin"),
    [(published_wire(name), read_shipped_wire(name)) for name in published_wire_names()],
    ids=lambda wire: wire.name,
)

texts = st.text(max_size=10)
rates = st.sampled_from([8000, 16000, 24000])
relay_events: st.SearchStrategy[RelayEvent] = st.one_of(
    rates.map(lambda rate: Ready("s", rate, rate)),
    st.builds(Audio, st.binary(max_size=20), st.booleans(), texts),
    st.builds(Motion, st.lists(st.binary(max_size=9), max_size=3).map(tuple), st.booleans(), texts),
    st.builds(Interrupted, st.text(min_size=1)),
    st.builds(Failed, st.text(min_size=1)),
    st.builds(Note, st.sampled_from(["status", "agent_ready", "transcript", "pong", "no-such-kind"])),
    st.builds(NotUnderstood, texts),
)
client_actions: st.SearchStrategy[ClientAction] = st.one_of(
    st.builds(Start, rates, texts),
    st.builds(Speak, st.binary(max_size=20), st.booleans()),
    st.just(SpeakEnd()),
    st.builds(PlayClip, st.text(min_size=1)),
    st.builds(Say, st.text(min_size=1)),
    st.just(InterruptTurn()),
    st.sampled_from(["ping", "set_avatar", "start_agent"]).map(Note),
    st.builds(Unclear, texts),
)


def plain(frames: tuple[Frame, ...]) -> list[object]:
    """JSON as its values, for the order of keys is nobody's concern."""
    return [_value(frame) for frame in frames]


def _value(frame: Frame) -> object:
    head: Frame
    head, body = ("", frame) if isinstance(frame, str) else (frame[:2], frame[2:])
    try:
        value = json.loads(body)
    except ValueError:
        return frame
    if isinstance(value, dict):
        value.pop("channels", None)
    return head, value


@twins
@settings(deadline=None, max_examples=300)
@given(event=relay_events)
def test_they_write_the_same_for_a_relay(wire: Wire, twin: Wire, event: RelayEvent) -> None:
    if isinstance(event, Note) and event.kind == "no-such-kind":
        assert twin.write_relay_event(event) == ()
    else:
        assert plain(twin.write_relay_event(event)) == plain(wire.write_relay_event(event))


@twins
@settings(deadline=None, max_examples=300)
@given(action=client_actions)
def test_they_write_the_same_for_a_client(wire: Wire, twin: Wire, action: ClientAction) -> None:
    assert plain(twin.write_client_action(action)) == plain(wire.write_client_action(action))


@twins
@settings(deadline=None, max_examples=500)
@given(frame=any_frames)
def test_they_read_the_same(wire: Wire, twin: Wire, frame: Frame) -> None:
    told, twin_told = wire.read_relay_frame(frame), twin.read_relay_frame(frame)
    if isinstance(told[0], NotUnderstood):
        assert [type(event) for event in twin_told] == [NotUnderstood]
    else:
        assert twin_told == told
    did, twin_did = wire.read_client_frame(frame), twin.read_client_frame(frame)
    assert isinstance(twin_did, Unclear) if isinstance(did, Unclear) else twin_did == did


@twins
@given(events=st.lists(relay_events, max_size=5), actions=st.lists(client_actions, max_size=5))
def test_each_reads_what_the_other_writes(
    wire: Wire, twin: Wire, events: list[RelayEvent], actions: list[ClientAction]
) -> None:
    for event in events:
        for frame in twin.write_relay_event(event):
            assert_alike(wire.read_relay_frame(frame)[0], twin.read_relay_frame(frame)[0])
    for action in actions:
        for frame in wire.write_client_action(action):
            assert_alike(wire.read_client_frame(frame), twin.read_client_frame(frame))


def assert_alike(one: RelayEvent | ClientAction, other: RelayEvent | ClientAction) -> None:
    if isinstance(one, NotUnderstood | Unclear):
        assert type(one) is type(other)
    else:
        assert one == other


@twins
def test_they_lack_the_same(wire: Wire, twin: Wire) -> None:
    assert twin.lacks == wire.lacks
    assert (twin.name, twin.greets, twin.http_paths) == (wire.name, wire.greets, wire.http_paths)
    assert twin.declaration
