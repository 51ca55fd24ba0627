"""The Ogg Opus that a Motion Server under test gets."""

import pytest

from spatius_sim.plans.opus_speech import damage, ogg_opus_speech
from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.protocol.ogg import OggOpusReader


def test_the_same_label_gives_the_same_bytes_and_another_label_others() -> None:
    assert ogg_opus_speech("a", 13) == ogg_opus_speech("a", 13) != ogg_opus_speech("b", 13)


@pytest.mark.parametrize("count", [1, 51, 103])
def test_a_longer_stream_repeats_the_packets(count: int) -> None:
    packets = OggOpusReader().feed(ogg_opus_speech("a", count))
    assert len(packets) == count
    assert len(set(packets)) == min(count, 51)
    assert packets[51:] == packets[: max(0, count - 51)]


def test_a_damaged_stream_can_be_decoded_up_to_its_middle() -> None:
    stream = damage(ogg_opus_speech("a", 103))
    middle = len(stream) // 2
    reader = OggOpusReader()
    assert len(reader.feed(stream[:middle])) > 40
    with pytest.raises(RemoteProtocolError, match="not an Ogg stream"):
        reader.feed(stream[middle:])
