"""The states of the avatar's playback, as a table: idle -> playing -> idle, playing <-> paused
(docs:state-events).

    IDLE --audio--> PLAYING --playback end--> IDLE
                    PLAYING <--pause / resume--> PAUSED
    interrupt leads to IDLE from everywhere; every other pair changes nothing.

ASSUMED: audio that comes while the playback is paused leaves it paused.
"""

from enum import Enum

from spatius_sim.trace.decoder_events import PlaybackState


class PlaybackEvent(Enum):
    """What may change the state of the playback."""

    AUDIO = "audio"
    PAUSE = "pause"
    RESUME = "resume"
    INTERRUPT = "interrupt"
    PLAYBACK_END = "playback end"


PLAYBACK_TABLE: dict[tuple[PlaybackState, PlaybackEvent], PlaybackState] = {
    (PlaybackState.IDLE, PlaybackEvent.AUDIO): PlaybackState.PLAYING,
    (PlaybackState.IDLE, PlaybackEvent.PAUSE): PlaybackState.IDLE,
    (PlaybackState.IDLE, PlaybackEvent.RESUME): PlaybackState.IDLE,
    (PlaybackState.IDLE, PlaybackEvent.INTERRUPT): PlaybackState.IDLE,
    (PlaybackState.IDLE, PlaybackEvent.PLAYBACK_END): PlaybackState.IDLE,
    (PlaybackState.PLAYING, PlaybackEvent.AUDIO): PlaybackState.PLAYING,
    (PlaybackState.PLAYING, PlaybackEvent.PAUSE): PlaybackState.PAUSED,
    (PlaybackState.PLAYING, PlaybackEvent.RESUME): PlaybackState.PLAYING,
    (PlaybackState.PLAYING, PlaybackEvent.INTERRUPT): PlaybackState.IDLE,
    (PlaybackState.PLAYING, PlaybackEvent.PLAYBACK_END): PlaybackState.IDLE,
    (PlaybackState.PAUSED, PlaybackEvent.AUDIO): PlaybackState.PAUSED,
    (PlaybackState.PAUSED, PlaybackEvent.PAUSE): PlaybackState.PAUSED,
    (PlaybackState.PAUSED, PlaybackEvent.RESUME): PlaybackState.PLAYING,
    (PlaybackState.PAUSED, PlaybackEvent.INTERRUPT): PlaybackState.IDLE,
    (PlaybackState.PAUSED, PlaybackEvent.PLAYBACK_END): PlaybackState.PAUSED,
}
