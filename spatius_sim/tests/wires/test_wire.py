"""Wires are found by name."""

import pytest

from spatius_sim.protocol.errors import UsageError
from spatius_sim.wires import published_wire, published_wire_names


def test_the_vendor_s_wire_is_known() -> None:
    assert "json-envelope" in published_wire_names()


def test_the_names_are_sorted() -> None:
    assert published_wire_names() == sorted(set(published_wire_names()))


@pytest.mark.parametrize("name", published_wire_names())
def test_a_wire_is_found_under_its_own_name(name: str) -> None:
    assert published_wire(name).name == name


@pytest.mark.parametrize("name", ["json", "", "JSON-ENVELOPE"])
def test_an_unknown_name_is_answered_with_the_known_ones(name: str) -> None:
    with pytest.raises(UsageError) as refused:
        published_wire(name)
    assert (
        str(refused.value) == f"no wire is named {name!r}; known wires: {', '.join(published_wire_names())}"
    )
