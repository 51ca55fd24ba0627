"""Writes a client's trace as a dialogue: every call, with what was observed after the call. Lines that are
evidence are marked."""

from collections.abc import Sequence
from typing import Any

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE
from spatius_sim.reporting.timeline.event_labels import EventWords
from spatius_sim.reporting.timeline.timeline import MarkKind
from spatius_sim.trace.events import Lane, Received, Sent, Trace
from spatius_sim.wires.testee_messages import TesteeAnswer, TesteeRequest

_MARKED, _UNMARKED = "    => ", "       "
_KINDS = {"yieldAudioData": MarkKind.AUDIO, "yieldFramesData": MarkKind.MOTION}


def write_dialogue(trace: Trace | None, evidence_seqs: Sequence[int]) -> str:
    """Return the dialogue with a client: one line for each call and what was observed after it; "" if this
    is not a trace of a client. `evidence_seqs` are the numbers of the events that are evidence: their lines
    are marked."""
    if trace is None or trace.header.subject != "client":
        return ""
    lines: list[str] = []
    call, seqs = "", set[int]()
    for event in trace.on_lane(Lane.CLIENT):
        value = getattr(event.content, "value", None)
        if isinstance(event.content, Sent) and isinstance(value, TesteeRequest):
            if value.do not in ("hello", "observe"):
                lines, call, seqs = _add_line(lines, call, seqs, evidence_seqs), _write_call(value), set()
        elif isinstance(event.content, Received) and isinstance(value, TesteeAnswer):
            call += _write_answer(value)
        seqs.add(event.seq)
    return "\n".join(_add_line(lines, call, seqs, evidence_seqs))


def words_for_call(call: TesteeRequest | TesteeAnswer) -> EventWords:
    """Return the words on the time-line for one line of the dialogue with a client under test: for a call to
    the client, or for the client's answer."""
    if isinstance(call, TesteeAnswer):
        answer = _write_answer(call).removeprefix(" -> ").strip()
        kind = MarkKind.FAULT if call.error is not None else MarkKind.MESSAGE
        return EventWords(kind, answer, minor=call.error is None)
    kind = _KINDS.get(call.do, MarkKind.MESSAGE)
    return EventWords(kind, _write_call(call), minor=call.do in ("hello", "observe"))


def _add_line(lines: list[str], call: str, seqs: set[int], evidence_seqs: Sequence[int]) -> list[str]:
    """Return the lines of the dialogue with one more for this call, unless it is "". The line is marked if
    one of its events (`seqs`) is evidence."""
    if not call:
        return lines
    prefix = _MARKED if seqs & set(evidence_seqs) else _UNMARKED
    return [*lines, f"{prefix}{call}"]


def _write_call(request: TesteeRequest) -> str:
    """Return a line of the dialogue: a call to the client, with its arguments."""
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
    """Return the client's answer to a call as text for the dialogue, where it follows the call in the same
    line. For an observation, the text lists the values that were observed."""
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
    """Return the texts that the dialogue shows after a call: what the client under test reported of itself
    when it was observed, such as its state and how many samples it has played."""
    keyframes = result.get("keyframesRendered") or []
    first_last = f"{keyframes[0]}..{keyframes[-1]}" if len(keyframes) > 1 else f"{keyframes}"
    observed = [str(result.get("state")), f"id {result.get('conversationId')!r}"]
    observed.append(f"{result.get('samplesPlayed')} samples")
    observed += [f"rendered {first_last}"] if keyframes else []
    return [*observed, "stalled"] if result.get("stalled") else observed
