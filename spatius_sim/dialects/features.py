"""What a relay and its wire may lack, by name. It is not asked for, and what needs it is not judged."""

from typing import NamedTuple


class Feature(NamedTuple):
    """A feature, and what it means to lack it."""

    name: str
    lacking: str


AUDIO = "audio"
PCM = "pcm"
STREAMING = "streaming"
SEVERAL_TURNS = "several-turns"
END_MARKS = "end-marks"
MOTION_END = "motion-end"
TURN_IDS = "turn-ids"
INTERRUPTS = "interrupts"
ERRORS = "errors"
CLIENT_AUDIO = "client-audio"

WIRE_FEATURES = (
    Feature(AUDIO, "only motion comes down: the client plays the audio that it sent itself"),
    Feature(PCM, "audio comes down as Ogg Opus, whose bytes tell no length"),
    Feature(STREAMING, "one document holds the whole turn"),
    Feature(SEVERAL_TURNS, "each turn needs a connection of its own"),
    Feature(END_MARKS, "closing the connection marks the end of a turn"),
    Feature(MOTION_END, "nothing marks the last motion"),
    Feature(TURN_IDS, "nothing says which turn a message belongs to"),
    Feature(INTERRUPTS, "a client cannot interrupt"),
    Feature(ERRORS, "the client cannot be told of a failure"),
    Feature(CLIENT_AUDIO, "the relay chooses what is spoken"),
)
