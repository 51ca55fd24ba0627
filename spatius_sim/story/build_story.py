"""Joins the events of a trace into a story: turns with their requests, conversations and deliveries.

A request belongs to the turn with the same audio, because each turn's audio is unique. If a relay changed the
audio, time decides. A delivery belongs to the payload with the same bytes. If bytes repeat, order decides.

Some ends are missing in a trace. This is what the joiner takes for true then; each sentence has a test.

- A turn that was never marked as ended, on a wire without turn ids, is over as soon as audio comes that was
  spoken in a later turn. If the audio does not show its turn, the turn is over when the wait for it has ended
  and the next turn has begun. So a missing mark costs its own turn the mark, and no other turn its audio.
- Speech that was never ended, because its client interrupted first, may be dropped or may be spoken with the
  next turn: no document says what an interrupt does to it. If it is spoken with the next turn, the two turns
  are merged.
- Two turns are merged, too, if silence ends speech on this wire, and the relay took both for one. Merged
  turns are not clean, nothing of one is stale in the other, and so they accuse nobody. Any other relay that
  mixes two turns up breaks a rule.
- A mark of motion on its own marks the motion of its conversation that came before it. If none came, it marks
  nothing, and is an empty list.
- A mark of audio that comes late ends the conversation that is open then, as it does for a decoder.
- A turn id whose conversation was marked as ended or interrupted, and that comes again with a later turn's
  audio, names a new conversation, as it does for a decoder. Each response has an id
  (docs:backend-mode/server-sdk), and no document says that the id of a turn that failed may not come again.
"""

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE
from spatius_sim.story.faults_of_turns import leave_out_faults_elsewhere, set_faults_and_failures
from spatius_sim.story.join_conversations import (
    join_conversations,
    join_conversations_to_turns,
    join_deliveries_to_payloads,
)
from spatius_sim.story.join_requests import find_turns_by_audio, join_requests, join_requests_to_turns
from spatius_sim.story.speech_index import SpeechIndex
from spatius_sim.story.turn_story import Story, Turn
from spatius_sim.story.undisturbed_turns import correct_mistaken_waits, set_calm_and_clean
from spatius_sim.trace.events import Awaited, Lane, Sent, Trace, TurnStarted, WaitEnded
from spatius_sim.wires.events import InterruptTurn, Speak, SpeakEnd
from spatius_sim.wires.optional_features import CLIENT_CHOOSES_SPEECH, SPEECH_END


def build_story(trace: Trace) -> Story:
    """Build the story of a relay's or a server's trace: its turns, each with the requests to Motion Server,
    the conversations at its client, and the deliveries of its motion. Also set which turns are calm and
    clean, and which faults excuse the relay in them."""
    turns = _find_planned_turns(trace)
    speech_index = SpeechIndex(turns)
    set_faults_and_failures(trace, turns)
    requests = join_requests(trace)
    conversations, deliveries, output_rates = join_conversations(trace, turns, speech_index)
    find_turns_by_audio(requests, speech_index, silence_ends_speech=SPEECH_END in trace.header.lacks)
    join_conversations_to_turns(conversations, turns, speech_index)
    join_deliveries_to_payloads(requests, deliveries)
    join_requests_to_turns(requests, turns, may_guess=CLIENT_CHOOSES_SPEECH not in trace.header.lacks)
    leave_out_faults_elsewhere(trace, turns)
    correct_mistaken_waits(turns)
    set_calm_and_clean(trace, turns, output_rates)
    return Story(trace, turns, requests, conversations, deliveries, output_rates)


def _find_planned_turns(trace: Trace) -> list[Turn]:
    """Return the turns that the kit started in this trace, in their order. Each has its speech, what its
    client did in it, and the numbers of the events that began and ended it. If the kit waited for the end of
    the turn, note which event ended the wait, and whether the turn was complete then."""
    turns_by_number: dict[tuple[str, int], Turn] = {}
    latest_by_client: dict[str, Turn] = {}
    end_seq = len(trace.events)
    for event in trace.events:
        match event.content:
            case TurnStarted(number, pcm, rate):
                previous_turn = latest_by_client.get(event.connection)
                since_seq = -1
                if previous_turn is not None:
                    previous_turn.until_seq = event.seq
                    since_seq = previous_turn.waited_seq or previous_turn.started_seq
                turn = Turn(
                    event.connection, number, since_seq, event.seq, end_seq, pcm, rate, before=previous_turn
                )
                latest_by_client[event.connection] = turns_by_number[event.connection, number] = turn
            case WaitEnded(Awaited.TURN, complete, number) if (event.connection, number) in turns_by_number:
                turn = turns_by_number[event.connection, number]
                turn.waited_seq, turn.complete = event.seq, complete
            case Sent(value=action) if event.lane is Lane.DOWNSTREAM and event.connection in latest_by_client:
                _note_client_action(latest_by_client[event.connection], action, event.seq)
    return list(turns_by_number.values())


def _note_client_action(turn: Turn, action: object, seq: int) -> None:
    """Note in a turn what its client did at event number `seq`: it spoke, ended its speech, or interrupted
    the turn. Note, too, whether the speech so far ends within a sample. Only the first interrupt counts; any
    other action changes nothing."""
    match action:
        case Speak(pcm, last):
            turn.speech_begun = True
            turn.half_sample ^= bool(len(pcm) % BYTES_PER_SAMPLE)
            turn.speech_ended = turn.speech_ended or last
        case SpeakEnd():
            turn.speech_ended = True
        case InterruptTurn() if turn.interrupted_seq is None:
            turn.interrupted_seq = seq
