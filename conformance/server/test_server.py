"""What a Motion Server must keep. Each item is one rule of the catalogue."""

from spatius_sim.pytest_plugin.suite import Judge, rule


@rule("S-TOKEN-WINDOW")
def test_tokens_expire_within_a_day(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("S-TOKEN-KEY")
def test_only_an_api_key_gets_a_token(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("S-UPGRADE-REFUSED")
def test_bad_credentials_and_ids_are_refused_at_the_upgrade(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("S-TOKEN-EXPIRY")
def test_an_expired_token_opens_nothing_and_closes_nothing(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("S-CONFIRM")
def test_a_valid_configuration_is_confirmed_first(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("S-HANDSHAKE-REFUSED")
def test_a_bad_first_message_is_refused_in_known_words(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("S-MOTION-IDS")
def test_responses_carry_their_ids(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("S-MOTION-END")
def test_each_request_ends_with_one_marked_response(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("S-MOTION-COUNT")
def test_keyframes_belong_to_the_audio_however_it_was_cut(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("S-MOTION-SEGMENTS")
def test_motion_comes_in_the_recorded_segments(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("S-MOTION-SHAPE")
def test_keyframes_have_seven_finite_fields(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("S-EGRESS-SILENT")
def test_nothing_comes_back_beside_an_egress(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("S-INTERRUPT")
def test_an_interrupted_request_falls_silent(spatius_judge: Judge) -> None:
    spatius_judge()
