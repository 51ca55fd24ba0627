"""What every relay must keep. Each item is one rule of the catalogue."""

from spatius_sim.pytest_plugin.suite import Judge, rule


@rule("R-TOKENLESS")
def test_a_client_needs_no_credentials(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("U-TOKEN")
def test_it_asks_for_a_token_before_it_connects(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("U-TOKEN-FRESH")
def test_each_connection_has_a_token_of_its_own(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("U-CONFIGURE")
def test_it_first_configures_a_supported_rate(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("U-TURN-ID")
def test_no_audio_follows_the_end_of_its_request(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("U-AUDIO-ALIGNED")
def test_audio_goes_up_in_whole_samples(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("U-AUDIO-END")
def test_it_ends_the_audio_of_each_request_once(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("U-RETRY")
def test_it_does_not_insist_when_it_is_refused(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("R-RECOVER")
def test_it_works_again_after_a_failure(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("U-AUDIO-COMPLETE")
def test_all_that_is_spoken_goes_up(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("R-MOTION-VERBATIM")
def test_motion_arrives_byte_for_byte(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("R-MOTION-COMPLETE")
def test_no_motion_is_lost_and_none_doubled(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("R-MOTION-ORDER")
def test_motion_arrives_in_the_order_in_which_it_was_sent(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("R-AUDIO-COMPLETE")
def test_all_audio_that_went_up_comes_down(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("R-AUDIO-FIRST")
def test_audio_opens_a_conversation_before_its_motion(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("R-END-AUDIO")
def test_the_last_audio_of_a_turn_is_marked_once(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("R-TURNS")
def test_motion_stays_in_its_own_turn(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("R-ISOLATION")
def test_clients_get_nothing_of_each_other(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("R-CONVERSATION")
def test_a_client_can_play_every_turn_to_its_end(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("R-FALLBACK")
def test_audio_comes_to_its_end_without_motion(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("R-ERROR-TOLD")
def test_the_client_is_told_that_motion_failed(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("R-LARGE")
def test_large_payloads_pass(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("R-HUGE")
def test_the_largest_payloads_pass(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("R-LATENCY")
def test_the_time_that_it_adds_is_measured(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("R-END-MOTION")
def test_the_last_motion_of_a_turn_is_marked(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("R-STALE")
def test_nothing_of_a_turn_that_was_cut_off_comes_into_the_next(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("R-SECRETS")
def test_the_api_key_stays_on_the_backend(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("U-HANGUP")
def test_the_upstream_session_ends_with_its_client(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("R-SLOWCLIENT")
def test_a_slow_client_loses_nothing_and_delays_nobody(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("R-BADINPUT")
def test_bad_input_harms_nobody(spatius_judge: Judge) -> None:
    spatius_judge()
