"""What faults make of one message."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spatius_sim.model.scenario.scenario import (
    CloseWith,
    Delay,
    Drop,
    Duplicate,
    EmptyMotion,
    FaultAction,
    GrowTo,
    OtherConnectionId,
    OtherReqId,
    Refuse,
    Reorder,
    Reset,
    SendError,
    SendGarbage,
    Stall,
    Text,
    TruncatedFrame,
    UnknownFields,
    WrongType,
)
from spatius_sim.model.scenario.scenario_player import ConnectionFaults
from spatius_sim.model.scenario.spoil_messages import (
    add_unknown_fields,
    grow_message,
    make_garbage,
    make_wrong_type,
    remove_keyframes,
    replace_connection_id,
    replace_req_id,
)
from spatius_sim.model.server.apply_faults import FaultedMessage, apply_faults
from spatius_sim.model.server.commands import Close, ResetConnection, Send, SendText, SendTruncated
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.keyframes import WIDTH
from spatius_sim.protocol.messages import ConfirmSession, Interrupt, Message, MotionResponse, UnknownMessage
from spatius_sim.trace.events import Undecodable
from spatius_sim.trace.read_frames import read_upstream

MOTION = MotionResponse("c", "r", True, np.ones((3, WIDTH), np.float32))
RAW = encode(MOTION)


def spoilt(*steps: FaultAction, raw: bytes = RAW) -> FaultedMessage:
    return apply_faults(raw, steps, ConnectionFaults(), "test")


def message(raw: bytes) -> Message:
    read = read_upstream(raw)
    assert not isinstance(read, Undecodable)
    return read


def test_without_a_step_it_stays_as_it_is() -> None:
    assert spoilt() == FaultedMessage([Send(RAW)])


@pytest.mark.parametrize(
    ("step", "outputs"),
    [
        (SendError(3, "x"), [SendError(3, "x")]),
        (CloseWith(1011, "bye"), [Close(1011, "bye")]),
        (Reset(), [ResetConnection()]),
        (TruncatedFrame(), [SendTruncated(RAW)]),
        (Stall(), []),
        (Drop(), []),
        (Reorder(), []),
        (Text("hello"), [SendText("hello")]),
        (Duplicate(), [Send(RAW), Send(RAW)]),
        (OtherReqId("q"), [Send(encode(MotionResponse("c", "q", True, MOTION.keyframes)))]),
        (OtherConnectionId("d"), [Send(encode(MotionResponse("d", "r", True, MOTION.keyframes)))]),
        (EmptyMotion(), [Send(encode(MotionResponse("c", "r", True, MOTION.keyframes[:0])))]),
        (GrowTo(9999), [Send(grow_message(RAW, 9999))]),
        (UnknownFields(), [Send(add_unknown_fields(RAW))]),
        (WrongType(), [Send(make_wrong_type())]),
    ],
)
def test_each_step_does_its_own(step: FaultAction, outputs: list[object]) -> None:
    assert spoilt(step).outputs == outputs


def test_garbage_is_garbage_and_always_the_same() -> None:
    (one,), (other,) = spoilt(SendGarbage(99)).outputs, spoilt(SendGarbage(99)).outputs
    assert one == other
    assert isinstance(one, Send)
    assert len(one.raw) == 99
    assert isinstance(read_upstream(one.raw), Undecodable)


INSTANT = ("empty-motion", "duplicate", "stall", "close")


def test_steps_add_up_and_are_told() -> None:
    result = spoilt(Delay(1), Delay(2), EmptyMotion(), Duplicate(), Stall(), CloseWith())
    assert (result.delay, result.stalled) == (3, True)
    assert result.outputs == [Close(0, "")]
    kinds = [(fault.kind, fault.delay) for fault in result.injected]
    assert kinds == [("delay", 1), ("delay", 2), *((kind, 0) for kind in INSTANT)]


def test_a_frame_is_truncated_where_none_was_due() -> None:
    (cut,) = spoilt(TruncatedFrame(), raw=b"").outputs
    assert isinstance(cut, SendTruncated)
    assert len(cut.raw) == 64


def test_what_belongs_to_the_door_spoils_no_message() -> None:
    with pytest.raises(AssertionError):
        spoilt(Refuse(500))


@given(st.integers(1, 300_000))
@example(1)
def test_a_message_grows_to_any_size_and_means_the_same(size: int) -> None:
    grown = grow_message(RAW, size)
    assert len(grown) == (size if size >= len(RAW) + 7 else len(RAW))
    assert message(grown) == MOTION


@pytest.mark.parametrize("plain", [MOTION, ConfirmSession("c")])
def test_unknown_fields_change_nothing_that_is_known(plain: Message) -> None:
    raw = add_unknown_fields(encode(plain))
    assert message(raw) == plain
    assert raw.count(b"new") == 2


def test_only_what_bears_an_id_gets_another() -> None:
    other = encode(Interrupt("r"))
    assert remove_keyframes(other) == replace_req_id(other, "x") == replace_connection_id(other, "x") == other
    assert message(replace_connection_id(encode(ConfirmSession("c")), "")) == ConfirmSession("")
    assert message(make_wrong_type()) == UnknownMessage(6)
    assert len(make_garbage(1, 0)) == 1
