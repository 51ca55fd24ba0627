"""Writes a client's trace as a dialogue: every call, with what was observed after the call. Lines that are
evidence are marked."""

from collections.abc import Sequence
from typing import Any

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE
from spatius_sim.reporting.timeline.event_labels import EventLabel
from spatius_sim.reporting.timeline.timeline import MarkKind
from spatius_sim.trace.events import Lane, Received, Sent, Trace
from spatius_sim.wires.testee_messages import TesteeAnswer, TesteeRequest

_MARKED, _UNMARKED = "    => ", "       "
_KINDS = {"yieldAudioData": MarkKind.AUDIO, "yieldFramesData": MarkKind.MOTION}


def write_dialogue(trace: Trace | None, evidence_seqs: Sequence[int]) -> str:
    """Return the dialogue between kit and client as text: one line for each call, with its answer and what
    was observed after it. Lines with an event in `evidence_seqs` are marked. Return "" if the trace is None,
    or not of a client."""
    if trace is None or trace.header.subject != "client":
        return ""
    lines: list[str] = []
    call_text, call_seqs = "", set[int]()
    for event in trace.on_lane(Lane.CLIENT):
        value = getattr(event.content, "value", None)
        if isinstance(event.content, Sent) and isinstance(value, TesteeRequest):
            if value.do not in ("hello", "observe"):
                lines, call_text, call_seqs = (
                    _add_line(lines, call_text, call_seqs, evidence_seqs),
                    _write_call(value),
                    set(),
                )
        elif isinstance(event.content, Received) and isinstance(value, TesteeAnswer):
            call_text += _write_answer(value)
        call_seqs.add(event.seq)
    return "\n".join(_add_line(lines, call_text, call_seqs, evidence_seqs))


def label_call(message: TesteeRequest | TesteeAnswer) -> EventLabel:
    """Return the label that a time-line shows for a call to a client under test, or for the client's answer.
    An answer with an error is a fault. Other answers, `hello` and `observe` are minor: drawn only if they are
    evidence."""
    if isinstance(message, TesteeAnswer):
        answer = _write_answer(message).removeprefix(" -> ").strip()
        kind = MarkKind.FAULT if message.error is not None else MarkKind.MESSAGE
        return EventLabel(kind, answer, minor=message.error is None)
    kind = _KINDS.get(message.do, MarkKind.MESSAGE)
    return EventLabel(kind, _write_call(message), minor=message.do in ("hello", "observe"))


def _add_line(
    lines: list[str], call_text: str, call_seqs: set[int], evidence_seqs: Sequence[int]
) -> list[str]:
    """Return the lines of the dialogue and one more line with this text; return them unchanged if the text is
    "". The line is marked if one of the events of the call (`call_seqs`) is evidence."""
    if not call_text:
        return lines
    prefix = _MARKED if call_seqs & set(evidence_seqs) else _UNMARKED
    return [*lines, f"{prefix}{call_text}"]


def _write_call(request: TesteeRequest) -> str:
    """Return a call to the client as text, with its name and arguments, such as "advance(40 ms)"."""
    match request.do:
        case "yieldAudioData":
            samples = len(request.audio) // BYTES_PER_SAMPLE
            return f"yieldAudioData({samples} samples{', end' if request.end else ''})"
        case "yieldFramesData":
            payloads = "nothing" if request.frames is None else f"{len(request.frames)} payloads"
            return f"yieldFramesData({payloads}, {request.conversation_id!r})"
        case "advance":
            return f"advance({request.ms} ms)"
        case "reset":
            return f"reset({request.sample_rate} Hz, {request.mode or 'no mode'})"
    return f"{request.do}()"


def _write_answer(answer: TesteeAnswer) -> str:
    """Return the client's answer as text to append to the line of its call: an error, the id that was
    returned, or the observed values. Return "" for an answer without a value."""
    if answer.unimplemented:
        return " -> unimplemented"
    if answer.error is not None:
        return f" -> threw {answer.error}"
    result = answer.result
    if "state" not in result and "samplesPlayed" not in result:
        new_id = result.get("conversationId")
        return f" -> {new_id!r}" if new_id is not None else ""
    return f"   [{', '.join(_list_observed(result))}]"


def _list_observed(result: dict[str, Any]) -> list[str]:
    """Return what the dialogue shows in brackets after a call, each as a text: what the client under test
    reported when it was observed. That is its state, conversation id, samples played, keyframes rendered, and
    whether it is stalled."""
    keyframes = result.get("keyframesRendered") or []
    keyframe_range = f"{keyframes[0]}..{keyframes[-1]}" if len(keyframes) > 1 else f"{keyframes}"
    texts = [str(result.get("state")), f"id {result.get('conversationId')!r}"]
    texts.append(f"{result.get('samplesPlayed')} samples")
    texts += [f"rendered {keyframe_range}"] if keyframes else []
    return [*texts, "stalled"] if result.get("stalled") else texts
