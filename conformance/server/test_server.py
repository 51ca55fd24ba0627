"""What a Motion Server must keep. Each item is one rule of the catalogue."""

from spatius_sim.kit.suite import Judge, rule


@rule("S-TOKEN-WINDOW")
def test_tokens_expire_within_a_day(judge: Judge) -> None:
    judge()


@rule("S-TOKEN-KEY")
def test_only_an_api_key_gets_a_token(judge: Judge) -> None:
    judge()


@rule("S-UPGRADE-REFUSED")
def test_bad_credentials_and_ids_are_refused_at_the_upgrade(judge: Judge) -> None:
    judge()


@rule("S-TOKEN-EXPIRY")
def test_an_expired_token_opens_nothing_and_closes_nothing(judge: Judge) -> None:
    judge()


@rule("S-CONFIRM")
def test_a_valid_configuration_is_confirmed_first(judge: Judge) -> None:
    judge()


@rule("S-HANDSHAKE-REFUSED")
def test_a_bad_first_message_is_refused_in_known_words(judge: Judge) -> None:
    judge()


@rule("S-MOTION-IDS")
def test_responses_carry_their_ids(judge: Judge) -> None:
    judge()


@rule("S-MOTION-END")
def test_each_request_ends_with_one_marked_response(judge: Judge) -> None:
    judge()


@rule("S-MOTION-COUNT")
def test_keyframes_belong_to_the_audio_however_it_was_cut(judge: Judge) -> None:
    judge()


@rule("S-MOTION-SEGMENTS")
def test_motion_comes_in_the_recorded_segments(judge: Judge) -> None:
    judge()


@rule("S-MOTION-SHAPE")
def test_keyframes_have_seven_finite_fields(judge: Judge) -> None:
    judge()


@rule("S-EGRESS-SILENT")
def test_nothing_comes_back_beside_an_egress(judge: Judge) -> None:
    judge()


@rule("S-INTERRUPT")
def test_an_interrupted_request_falls_silent(judge: Judge) -> None:
    judge()
