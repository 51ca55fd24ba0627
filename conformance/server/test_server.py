"""What a Motion Server must keep. Each item is one rule of the catalogue."""

from spatius_sim.kit.plans import conversations, crowds
from spatius_sim.kit.suite import rule


@rule("S-MOTION-END")
def test_each_request_ends_with_one_marked_response(judge):
    judge(conversations())


@rule("S-MOTION-COUNT")
def test_keyframes_belong_to_the_audio_however_it_was_cut(judge):
    judge(conversations() | crowds())


@rule("S-MOTION-SHAPE")
def test_keyframes_have_seven_finite_fields(judge):
    judge(conversations())
