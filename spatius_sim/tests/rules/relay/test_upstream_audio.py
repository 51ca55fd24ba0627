"""What a relay sends up: whole samples, whole turns, nothing behind an end."""

import pytest

from spatius_sim.protocol.messages import AudioFormat
from spatius_sim.rules.findings import Verdict
from spatius_sim.tests.rules.traces import RATE, Dialogue, voice
from spatius_sim.wires.events import Speak, SpeakEnd


def sent_up(*audio: bytes, audio_format: int = AudioFormat.PCM_S16LE, rate: int = 16000) -> Dialogue:
    """A turn of Ann's, and what the relay makes of it, ended; it comes down as it went up."""
    said = Dialogue()
    said.starts("ann", 0, voice("ann"))
    said.token()
    said.opened("up")
    said.configures("up", rate, audio_format)
    said.confirms("up")
    for piece in audio:
        said.audio_up("up", "r", piece)
    said.audio_up("up", "r", end=True)
    said.audio_down("ann", b"".join(audio), last=True)
    said.motion_down("ann", said.motion("up", "r", 5, end=True))
    said.ends("ann", 0)
    return said


def test_an_odd_number_of_bytes_is_no_whole_number_of_samples() -> None:
    said = sent_up(voice("ann"), b"\0")
    assert said.failed == ["U-AUDIO-ALIGNED"]
    assert "6401 bytes under r" in said.judged("U-AUDIO-ALIGNED").broken[0].actual


def test_after_a_client_has_stopped_within_a_sample_nothing_says_what_becomes_of_the_half() -> None:
    for client_stops_within in (True, False):
        said = Dialogue()
        for number in (0, 1):
            pcm = said.speaks("ann", number)
            stops_within = client_stops_within and number == 0
            said.client_sends("ann", Speak(pcm[:-1] if stops_within else pcm), SpeakEnd())
            said.echoes("ann", number, pcm[:-1])
            said.ends("ann", number)
        expected = Verdict.UNEXERCISED if client_stops_within else Verdict.FAILED
        assert said.verdict("U-AUDIO-ALIGNED") is expected


def test_a_sample_may_be_cut_in_two_by_messages() -> None:
    said = sent_up(voice("ann")[:801], voice("ann")[801:])
    assert said.failed == []


def test_ogg_opus_has_no_samples_to_be_counted() -> None:
    said = sent_up(b"OggS!", audio_format=AudioFormat.OGG_OPUS)
    assert said.verdict("U-AUDIO-ALIGNED") is Verdict.UNEXERCISED
    assert said.verdict("U-AUDIO-COMPLETE") is Verdict.UNEXERCISED


def test_a_request_that_was_stopped_early_may_end_anywhere() -> None:
    said = Dialogue()
    said.connects("up")
    said.starts("ann", 0, voice("ann"))
    said.audio_up("up", "r", voice("ann")[:801])
    said.closed("up", by_kit=True)
    assert said.verdict("U-AUDIO-ALIGNED") is Verdict.UNEXERCISED


def test_an_end_without_audio_is_no_matter_of_samples() -> None:
    assert sent_up().verdict("U-AUDIO-ALIGNED") is Verdict.UNEXERCISED


def test_audio_behind_the_end_of_its_request() -> None:
    said = Dialogue()
    said.connects("up")
    said.starts("ann", 0, voice("ann"))
    end = said.audio_up("up", "r", voice("ann"), end=True)
    late = said.audio_up("up", "r", bytes(640))
    assert said.failed == ["U-TURN-ID"]
    assert said.guilty("U-TURN-ID") == [(end, late)]


def test_audio_behind_the_interrupt_of_its_request() -> None:
    said = Dialogue()
    said.connects("up")
    said.starts("ann", 0, voice("ann"))
    said.audio_up("up", "r", voice("ann")[:3200])
    interrupt = said.interrupt_up("up", "r")
    late = said.audio_up("up", "r", voice("ann")[3200:])
    assert said.guilty("U-TURN-ID") == [(interrupt, late)]


def test_an_end_may_follow_an_interrupt_and_another_end_is_another_rules_matter() -> None:
    said = Dialogue()
    said.connects("up")
    said.starts("ann", 0, voice("ann"))
    said.audio_up("up", "r", voice("ann"))
    said.interrupt_up("up", "r")
    said.audio_up("up", "r", end=True)
    assert said.verdict("U-TURN-ID") is Verdict.PASSED


def test_the_same_req_id_on_two_connections_is_two_requests() -> None:
    said = Dialogue()
    for up in ("one", "two"):
        said.connects(up)
        said.audio_up(up, "r", voice(up), end=True)
    assert said.verdict("U-TURN-ID") is Verdict.PASSED


@pytest.mark.parametrize("cut", [slice(640, None), slice(0, 5760)], ids=["the beginning", "the end"])
def test_speech_that_is_lost_on_both_ways(cut: slice) -> None:
    said = sent_up(voice("ann")[cut])
    assert said.failed == ["U-AUDIO-COMPLETE"]


def test_speech_with_gaps_is_still_known_by_its_messages() -> None:
    pcm = voice("ann")
    said = sent_up(pcm[:1600], pcm[3200:])
    assert said.failed == ["U-AUDIO-COMPLETE"]
    assert "byte 1600" in said.judged("U-AUDIO-COMPLETE").broken[0].actual


def test_an_agent_speaks_with_its_own_words() -> None:
    said = sent_up(voice("an answer"))
    assert said.verdict("U-AUDIO-COMPLETE") is Verdict.UNEXERCISED
    assert said.failed == []


def test_audio_at_another_rate_is_not_compared_byte_for_byte() -> None:
    said = sent_up(voice("ann")[:3200], rate=8000)
    assert said.verdict("U-AUDIO-COMPLETE") is Verdict.UNEXERCISED


def test_each_connection_has_a_token_of_its_own() -> None:
    said = Dialogue()
    first, second = said.opened("one", "token#1"), said.opened("two", "token#1")
    said.opened("three", "token#2")
    assert said.guilty("U-TOKEN-FRESH") == [(first, second)]


def test_one_connection_shows_nothing_of_the_freshness_of_tokens() -> None:
    said = Dialogue()
    said.opened("one", "token#1")
    said.opened("of a tape without tokens", "")
    said.opened("of a tape without tokens, too", "")
    assert said.verdict("U-TOKEN-FRESH") is Verdict.UNEXERCISED


def test_a_token_may_be_tried_again_after_a_refusal() -> None:
    said = Dialogue()
    said.opened("one", "token#1")
    said.refused("two", 503, "later", "token#2")
    said.opened("three", "token#2")
    assert said.verdict("U-TOKEN-FRESH") is Verdict.PASSED


def said_at(configured: int, pcm: bytes, *, spoken: int = RATE) -> Dialogue:
    """Two seconds of speech at that rate, and what goes up under the configured one."""
    said = Dialogue()
    said.starts("ann", 0, voice("ann", 2 * spoken), spoken)
    said.connects("up", configured)
    said.audio_up("up", "r", pcm, end=True)
    said.audio_down("ann", pcm, last=True)
    said.motion_down("ann", said.motion("up", "r", 5, end=True))
    said.ends("ann", 0)
    return said


@pytest.mark.parametrize(("configured", "seconds"), [(8000, "4.0 s"), (24000, "1.3 s"), (48000, "0.7 s")])
def test_speech_under_another_rate_than_its_own_lasts_too_long_or_too_short(
    configured: int, seconds: str
) -> None:
    said = said_at(configured, voice("ann", 2 * RATE))
    assert said.failed == ["U-RATE"]
    assert f"64000 bytes went up, which are {seconds}" in said.judged("U-RATE").broken[0].actual


def test_speech_that_is_resampled_with_the_ratio_of_two_other_rates_is_told_by_its_rate() -> None:
    said = said_at(24000, voice("resampled", 2 * 48000))
    assert said.verdict("U-RATE") is Verdict.FAILED


@pytest.mark.parametrize(
    ("configured", "samples"), [(RATE, 2 * RATE), (24000, 2 * 24000), (24000, 2 * 24000 + 2000)]
)
def test_speech_that_lasts_as_long_as_it_was_spoken_keeps_the_rate(configured: int, samples: int) -> None:
    pcm = voice("ann", samples) if configured == RATE else voice("resampled", samples)
    assert said_at(configured, pcm).verdict("U-RATE") is Verdict.PASSED


@pytest.mark.parametrize(("configured", "verdict"), [(RATE, Verdict.PASSED), (8000, Verdict.FAILED)])
def test_silence_after_the_speech_does_not_count_for_its_rate(configured: int, verdict: Verdict) -> None:
    said = said_at(configured, voice("ann", 2 * RATE) + bytes(RATE))
    assert said.verdict("U-RATE") is verdict


@pytest.mark.parametrize(("configured", "samples"), [(RATE, RATE), (24000, 24000 * 9 // 5)])
def test_speech_that_is_lost_says_nothing_of_the_rate(configured: int, samples: int) -> None:
    pcm = voice("ann", samples) if configured == RATE else voice("resampled", samples)
    assert said_at(configured, pcm).verdict("U-RATE") is Verdict.UNEXERCISED


def test_less_than_two_seconds_say_nothing_of_the_rate() -> None:
    assert sent_up(voice("ann"), rate=8000).verdict("U-RATE") is Verdict.UNEXERCISED
    assert sent_up(voice("ann"), audio_format=AudioFormat.OGG_OPUS).verdict("U-RATE") is Verdict.UNEXERCISED


def test_a_turn_without_a_request_or_with_an_open_one_says_nothing_of_the_rate() -> None:
    said = Dialogue()
    said.starts("ann", 0, voice("ann", 2 * RATE))
    said.ends("ann", 0)
    said.starts("ann", 1, voice("ann 1", 2 * RATE))
    said.connects("up")
    said.audio_up("up", "r", voice("ann 1", 2 * RATE))
    said.ends("ann", 1)
    assert said.verdict("U-RATE") is Verdict.UNEXERCISED
