"""What a Motion Server must keep. Each item is one rule of the catalogue."""

from spatius_sim.kit.suite import Judge, rule


@rule("S-MOTION-END")
def test_each_request_ends_with_one_marked_response(judge: Judge) -> None:
    judge()


@rule("S-MOTION-COUNT")
def test_keyframes_belong_to_the_audio_however_it_was_cut(judge: Judge) -> None:
    judge()


@rule("S-MOTION-SHAPE")
def test_keyframes_have_seven_finite_fields(judge: Judge) -> None:
    judge()
