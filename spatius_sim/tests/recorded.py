"""A Motion Server that answers with a recording."""

from spatius_sim.model.server.motion_answers import AnswerFactory, RecordedAnswer
from spatius_sim.tape.sdk_recording import Recording


def answering(recording: Recording) -> AnswerFactory:
    """Answers every request with the recorded payloads, byte for byte, at the pace of the audio."""
    return lambda connection_id, req_id, sample_rate: RecordedAnswer(recording.payloads, sample_rate)
