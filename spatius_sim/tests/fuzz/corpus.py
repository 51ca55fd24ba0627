"""The small inputs in fixtures/hostile, and how new ones are drawn from them."""

from collections.abc import Sequence
from pathlib import Path

from hypothesis import strategies as st

from spatius_sim.files.find_resources import resource

HOSTILE = Path(str(resource("fixtures"))) / "hostile"
"""A folder for each harness, with an input in each file."""

_WORDS = (b"", b"\0", b"\xff" * 4, b"\r\n", b"\r\n\r\n", b": ", b"{", b"[" * 50, b"1" * 5000, b"-1", b"1e999")


def inputs_of(name: str) -> list[bytes]:
    """Return the inputs of a harness, in the order of their names."""
    return [path.read_bytes() for path in sorted((HOSTILE / name).glob("*"))]


@st.composite
def mutated(draw: st.DrawFn, inputs: Sequence[bytes]) -> bytes:
    """Draw bytes: of nothing, or an input in which some places are cut out, doubled or written over."""
    data = (
        draw(st.sampled_from(list(inputs) or [b""])) if draw(st.booleans()) else draw(st.binary(max_size=99))
    )
    for _ in range(draw(st.integers(0, 4))):
        begin = draw(st.integers(0, len(data)))
        end = draw(st.integers(begin, min(len(data), begin + 40)))
        put = draw(st.one_of(st.sampled_from(_WORDS), st.binary(max_size=8), st.just(data[begin:end] * 2)))
        data = data[:begin] + put + data[end:]
    return data
