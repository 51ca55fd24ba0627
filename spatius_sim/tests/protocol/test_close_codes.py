"""What a close code of aiohttp means."""

import pytest

from spatius_sim.protocol.close_codes import ABNORMAL_CLOSE, NO_CODE, NORMAL_CLOSE, read_close_code


@pytest.mark.parametrize(("said", "code"), [(None, ABNORMAL_CLOSE), (0, NO_CODE), (1000, NORMAL_CLOSE)])
def test_a_closing_frame_without_a_code_is_not_a_lost_connection(said: int | None, code: int) -> None:
    assert read_close_code(said) == code
