"""Ids have the form of `20251223042742_Oja7E-8NzYGi`."""

from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatius_sim.protocol.ids import NANOID_ALPHABET, make_log_id
from spatius_sim.tests.log_ids import is_log_id

RECORDED = "20251223042742_Oja7E-8NzYGi"
RECORDED_AT = 1766464062.0


def test_an_id_is_the_utc_second_and_the_draws() -> None:
    draws = bytes(NANOID_ALPHABET.index(letter) for letter in "Oja7E-8NzYGi")
    assert make_log_id(RECORDED_AT, draws) == RECORDED


@settings(deadline=None)
@given(
    moment=st.datetimes(datetime(1970, 1, 1), datetime(2999, 12, 31)),
    draws=st.binary(min_size=12, max_size=12),
)
def test_an_id_is_recognised_and_tells_its_second(moment: datetime, draws: bytes) -> None:
    second = moment.replace(microsecond=0, tzinfo=UTC)
    written = make_log_id(second.timestamp(), draws)
    assert is_log_id(written)
    assert datetime.strptime(written[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC) == second


def test_a_fraction_of_a_second_is_cut_off() -> None:
    assert make_log_id(RECORDED_AT + 0.999, bytes(12)) == make_log_id(RECORDED_AT, bytes(12))


def test_every_letter_is_as_likely_as_the_others() -> None:
    letters = Counter(make_log_id(0, bytes([byte] * 12))[-1] for byte in range(256))
    assert letters == dict.fromkeys(NANOID_ALPHABET, 4)
    assert len(letters) == 64


@pytest.mark.parametrize("count", [0, 11, 13])
def test_an_id_takes_twelve_draws(count: int) -> None:
    with pytest.raises(ValueError, match=f"an id takes 12 random bytes, not {count}"):
        make_log_id(0, bytes(count))


def test_a_recorded_id_is_one() -> None:
    assert is_log_id(RECORDED)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2025122304274_Oja7E-8NzYGi",
        "202512230427421_Oja7E-8NzYGi",
        "20251223042742-Oja7E-8NzYGi",
        "20251223042742_Oja7E-8NzYG",
        "20251223042742_Oja7E-8NzYGij",
        "20251223042742_Oja7E+8NzYGi",
        "20251223042742_Oja7E-8NzYGé",
        "20251223042742_Oja7E-8NzYGi\n",
        " 20251223042742_Oja7E-8NzYGi",
        "٢٠٢٥١٢٢٣٠٤٢٧٤٢_Oja7E-8NzYGi",
        "conversation-1",
    ],
)
def test_another_form_is_no_id(text: str) -> None:
    assert not is_log_id(text)
