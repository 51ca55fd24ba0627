"""Relays that keep every rule and differ in what the rules leave open: policies of the one honest brain."""

from spatius_sim.model.relay.policy import AudioStart, EndMark, MotionStart, RelayPolicy, SessionScope

PLAIN = RelayPolicy()
BATCHES_PAYLOADS = RelayPolicy(payloads_per_message=2)
CUTS_AUDIO_ANEW = RelayPolicy(audio_chunk_bytes=2048, audio_end=EndMark.ON_LAST)
MARKS_LAST_CHUNK = RelayPolicy(audio_end=EndMark.ON_LAST)
SENDS_ALL_AUDIO_FIRST = RelayPolicy(motion_start=MotionStart.AFTER_AUDIO)
MARKS_MOTION_APART = RelayPolicy(motion_end=EndMark.ON_ITS_OWN)
NAMES_NO_TURNS = RelayPolicy(names_turns=False)
"""As the demos' second generation."""
GREETS_NOBODY = RelayPolicy(greets=False, chatty=True)
"""Sends nothing before it is spoken to, and then much that nobody asked for."""
STARTS_SLOWLY = RelayPolicy(audio_start=AudioStart.WHEN_CONFIRMED)
KEEPS_ITS_SESSION = RelayPolicy(session_scope=SessionScope.CLIENT)

HONEST_RELAYS: dict[str, RelayPolicy] = {
    "PlainRelay": PLAIN,
    "BatchesPayloads": BATCHES_PAYLOADS,
    "CutsAudioAnew": CUTS_AUDIO_ANEW,
    "MarksLastChunk": MARKS_LAST_CHUNK,
    "SendsAllAudioFirst": SENDS_ALL_AUDIO_FIRST,
    "MarksMotionApart": MARKS_MOTION_APART,
    "NamesNoTurns": NAMES_NO_TURNS,
    "GreetsNobody": GREETS_NOBODY,
    "StartsSlowly": STARTS_SLOWLY,
    "KeepsItsSession": KEEPS_ITS_SESSION,
}
"""The plain relay, and nine that differ from it, by the names that tables print."""
