"""Frames that nobody meant, and some that are almost messages."""

import json

from hypothesis import strategies as st

_FIELDS = [
    "sessionId",
    "audio",
    "frames",
    "isLast",
    "turnId",
    "reason",
    "message",
    "clip",
    "data",
    "end",
    "action",
]
_TYPES = [
    "ready",
    "avatar_audio",
    "avatar_frames",
    "interrupt",
    "error",
    "audio",
    "motion",
    "mic_audio",
    "pong",
]

_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
_almost_messages = st.fixed_dictionaries(
    {"type": st.sampled_from(_TYPES) | _values}, optional=dict.fromkeys(_FIELDS, _values)
)
_almost_headers = st.builds(
    lambda kind, flags, rest: bytes([kind, flags]) + rest,
    st.integers(0, 5),
    st.integers(0, 3),
    st.binary() | _values.map(lambda value: json.dumps(value).encode()),
)
any_frames: st.SearchStrategy[str | bytes] = st.one_of(
    st.text(st.characters()),
    st.binary(),
    _values.map(json.dumps),
    _almost_messages.map(json.dumps),
    _almost_headers,
)
