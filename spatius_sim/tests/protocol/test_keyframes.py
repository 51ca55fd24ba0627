"""Keyframes are read and written alike by the fast path and the slow one, in the layout that was recorded."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.protocol.keyframes import (
    EXPRESSION,
    EYE_LID,
    EYE_POSE,
    FIELDS,
    JAW_POSE,
    NECK_POSE,
    ROTATION,
    TRANSLATION,
    WIDTH,
    Keyframes,
    _decode_slowly,
    _encode_slowly,
    decode_keyframes,
    encode_keyframes,
)
from spatius_sim.tests.protocol.handmade import UNKNOWN_FIELDS, chunk, packed, unpacked

SIZES = {1: 3, 2: 3, 3: 3, 4: 3, 5: 6, 6: 2, 7: 100}
"""How many floats each field of a Flame has, by field number (protocol.md section 2)."""

RAMP = np.arange(1, WIDTH + 1, dtype=np.float32)

any_floats = st.floats(width=32, allow_nan=False) | st.just(float("nan"))
any_keyframes: st.SearchStrategy[Keyframes] = arrays(
    np.float32, st.tuples(st.integers(0, 4), st.just(WIDTH)), elements=any_floats
)
any_bits: st.SearchStrategy[Keyframes] = st.integers(0, 3).flatmap(
    lambda count: st.binary(min_size=count * WIDTH * 4, max_size=count * WIDTH * 4).map(
        lambda bits: np.frombuffer(bits, np.float32).reshape(-1, WIDTH)
    )
)


def ramp() -> dict[int, list[float]]:
    """The fields of a Flame that holds 1, 2, ... 120 in wire order."""
    values = iter(RAMP.tolist())
    return {field: [next(values) for _ in range(size)] for field, size in SIZES.items()}


def flame(fields: Mapping[int, list[float]], *, before: bytes = b"", after: bytes = b"") -> bytes:
    """One keyframe of a Motion with those fields, packed, in the order given, between other bytes."""
    return chunk(1, before, *(packed(field, floats) for field, floats in fields.items()), after)


REGULAR = flame(ramp())


def row(**changes: list[float]) -> Keyframes:
    """The ramp as a row, with other values in the fields named."""
    values = RAMP.copy()
    for name, floats in changes.items():
        values[FIELDS[name]] = floats
    return values


# Irregular Motions of one keyframe: the bytes, the row that they mean and the fault that is named.
SAME_IN_ANOTHER_LAYOUT = {
    "reordered fields": flame(dict(reversed(ramp().items()))),
    "two fields of one size swapped": flame({field: ramp()[field] for field in (1, 2, 4, 3, 5, 6, 7)}),
    "unpacked floats": chunk(1, *(unpacked(field, floats) for field, floats in ramp().items())),
    "a field in two parts": flame(ramp() | {1: [2.0, 3.0]}, before=packed(1, [1.0])),
    **{f"an unknown {kind} beside the keyframe": REGULAR + extra for kind, extra in UNKNOWN_FIELDS.items()},
    **{
        f"an unknown {kind} in the keyframe": flame(ramp(), after=extra)
        for kind, extra in UNKNOWN_FIELDS.items()
    },
    "a length in a longer varint": b"\x0a\xef\x83\x00" + REGULAR[3:],
}

FAULTY = {
    "an empty keyframe": (chunk(1), np.zeros(WIDTH), "translation has 0 values instead of 3"),
    "a missing field": (
        flame({field: floats for field, floats in ramp().items() if field != 4}),
        row(jaw_pose=[0, 0, 0]),
        "jaw_pose has 0 values instead of 3",
    ),
    "a short field": (
        flame(ramp() | {6: [5.0]}),
        row(eye_lid=[5, 0]),
        "eye_lid has 1 values instead of 2",
    ),
    "a long field": (
        flame(ramp() | {3: [5.0, 6.0, 7.0, 8.0]}),
        row(neck_pose=[5, 6, 7]),
        "neck_pose has 4 values instead of 3",
    ),
    "a long and a short field in the regular length": (
        flame(ramp() | {1: [5.0, 6.0, 7.0, 8.0], 2: [9.0, 10.0]}),
        row(translation=[5, 6, 7], rotation=[9, 10, 0]),
        "translation has 4 values instead of 3",
    ),
    "a field twice": (
        flame(ramp(), after=packed(2, [9.0])),
        RAMP,
        "rotation has 4 values instead of 3",
    ),
}

IRREGULAR = SAME_IN_ANOTHER_LAYOUT | {name: encoded for name, (encoded, _, _) in FAULTY.items()}


def assert_same(ours: tuple[Keyframes, str], theirs: tuple[Keyframes, str]) -> None:
    np.testing.assert_array_equal(ours[0], theirs[0], strict=True)
    assert ours[1] == theirs[1]


def test_the_slices_cover_all_columns_without_a_gap() -> None:
    columns = [column for part in FIELDS.values() for column in range(part.start, part.stop)]
    assert columns == list(range(120))


def test_the_fields_are_named_in_wire_order() -> None:
    assert FIELDS == {
        "translation": TRANSLATION,
        "rotation": ROTATION,
        "neck_pose": NECK_POSE,
        "jaw_pose": JAW_POSE,
        "eye_pose": EYE_POSE,
        "eye_lid": EYE_LID,
        "expression": EXPRESSION,
    }
    assert [part.stop - part.start for part in FIELDS.values()] == list(SIZES.values())


def test_a_flame_has_495_bytes() -> None:
    tag_and_length = b"\x0a\xef\x03"
    encoded = encode_keyframes(np.zeros((1, WIDTH), np.float32))
    assert encoded.startswith(tag_and_length)
    assert len(encoded.removeprefix(tag_and_length)) == 495


def test_100_keyframes_make_49_8_kilobytes() -> None:
    assert len(encode_keyframes(np.zeros((100, WIDTH), np.float32))) == 49_800


def test_a_row_is_written_field_by_field_in_wire_order() -> None:
    assert encode_keyframes(RAMP.reshape(1, WIDTH)) == REGULAR


def test_a_row_is_read_field_by_field_in_wire_order() -> None:
    assert_same(decode_keyframes(REGULAR * 2), (np.stack([RAMP, RAMP]), ""))


@settings(deadline=None)
@given(any_bits)
def test_decoding_undoes_encoding_to_the_bit(keyframes: Keyframes) -> None:
    decoded, fault = decode_keyframes(encode_keyframes(keyframes))
    assert decoded.shape == keyframes.shape
    assert decoded.tobytes() == keyframes.tobytes()
    assert fault == ""


@settings(deadline=None)
@given(any_keyframes)
def test_both_paths_write_the_same_bytes(keyframes: Keyframes) -> None:
    assert encode_keyframes(keyframes) == _encode_slowly(keyframes)


@settings(deadline=None)
@given(any_keyframes)
def test_both_paths_read_the_same_keyframes(keyframes: Keyframes) -> None:
    encoded = _encode_slowly(keyframes)
    assert_same(decode_keyframes(encoded), _decode_slowly(encoded))


@pytest.mark.parametrize("encoded", IRREGULAR.values(), ids=IRREGULAR)
@pytest.mark.parametrize("after", [b"", REGULAR], ids=["alone", "after a regular keyframe"])
def test_both_paths_agree_on_an_irregular_motion(encoded: bytes, after: bytes) -> None:
    assert_same(decode_keyframes(after + encoded), _decode_slowly(after + encoded))


@pytest.mark.parametrize("encoded", SAME_IN_ANOTHER_LAYOUT.values(), ids=SAME_IN_ANOTHER_LAYOUT)
def test_another_layout_of_the_same_keyframe_is_no_fault(encoded: bytes) -> None:
    assert_same(decode_keyframes(encoded), (RAMP.reshape(1, WIDTH), ""))


@pytest.mark.parametrize(("encoded", "meant", "fault"), FAULTY.values(), ids=FAULTY)
def test_a_faulty_field_is_cut_or_filled_and_named(encoded: bytes, meant: Keyframes, fault: str) -> None:
    expected = np.stack([RAMP, meant]).astype(np.float32)
    assert_same(decode_keyframes(REGULAR + encoded), (expected, f"keyframe 1: {fault}"))


def test_only_the_first_fault_is_named() -> None:
    _, fault = decode_keyframes(REGULAR + flame(ramp() | {5: [1.0], 6: []}) + chunk(1))
    assert fault == "keyframe 1: eye_pose has 1 values instead of 6"


def test_a_motion_without_bytes_has_no_keyframes() -> None:
    assert_same(decode_keyframes(b""), (np.zeros((0, WIDTH), np.float32), ""))


@pytest.mark.parametrize("encoded", [REGULAR, chunk(1)], ids=["fast path", "slow path"])
def test_what_was_read_cannot_be_changed(encoded: bytes) -> None:
    keyframes, _ = decode_keyframes(encoded)
    with pytest.raises(ValueError, match="read-only"):
        keyframes[0, 0] = 1


@pytest.mark.parametrize(
    "junk",
    [
        pytest.param(b"\x0a", id="cut in a tag"),
        pytest.param(REGULAR[:-1], id="cut in a float"),
        pytest.param(chunk(1, chunk(1, bytes(5))), id="five bytes of floats"),
        pytest.param(b"\xff" * len(REGULAR), id="junk in the regular length"),
    ],
)
def test_what_no_parser_accepts_is_the_peer_s_fault(junk: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="the motion is not decodable"):
        decode_keyframes(junk)


@settings(deadline=None, max_examples=300)
@given(count=st.integers(1, 3), place=st.integers(0), byte=st.integers(0, 255))
def test_both_paths_agree_on_one_damaged_byte(count: int, place: int, byte: int) -> None:
    damaged = bytearray(REGULAR * count)
    damaged[place % len(damaged)] = byte
    try:
        expected = _decode_slowly(bytes(damaged))
    except RemoteProtocolError:
        with pytest.raises(RemoteProtocolError):
            decode_keyframes(bytes(damaged))
    else:
        assert_same(decode_keyframes(bytes(damaged)), expected)


def test_a_bomb_of_empty_keyframes_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="more than 10000 keyframes"):
        decode_keyframes(b"\x0a\x00" * 10_001)
