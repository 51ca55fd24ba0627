"""Names the features that a subject or its wire may lack. The kit does not use a feature that is lacking, and
does not judge the rules that need it."""

from typing import NamedTuple


class Feature(NamedTuple):
    """A feature's name, and a sentence that says how a subject without the feature behaves."""

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
CLIENT_CHOOSES_SPEECH = "client-audio"
SPEECH_END = "speech-end"
LATE_MOTION = "late-motion"

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
    Feature(CLIENT_CHOOSES_SPEECH, "the relay chooses what is spoken"),
    Feature(SPEECH_END, "silence ends what a client says"),
    Feature(LATE_MOTION, "a client drops motion that comes after the end mark of the audio"),
)


KEYS = "keys"
"""A server that lacks keys accepts every API key."""

IDS = "ids"
"""A server that lacks ids of its own replays a recording, with the ids of the recording."""

EGRESS = "egress"
"""A server that lacks egress refuses every egress. If the kit knows no room that it may name to a server, the
server lacks egress, too."""

OWN_STREAM = "own-stream"
"""A relay that lacks own-stream sends the same audio and motion to all its clients."""

OWN_UPSTREAM = "own-upstream"
"""A relay that lacks own-upstream shares a pool of upstream sessions among its clients."""

UPSTREAM = "upstream"
"""A relay that lacks upstream talks to another Motion Server than ours: only its downstream half is seen. In
a room: which motion was made is not seen."""

DATA_PACKETS = "data-packets"
"""A relay that lacks data-packets does not publish by itself in a room."""

ROOM_CHOICE = "room-choice"
"""An agent that lacks room-choice names its room itself: the kit cannot name one that refuses it."""

FEATURES = (
    KEYS,
    IDS,
    EGRESS,
    OWN_STREAM,
    OWN_UPSTREAM,
    UPSTREAM,
    DATA_PACKETS,
    ROOM_CHOICE,
    *(feature.name for feature in WIRE_FEATURES),
)
"""All features that a subject may declare to lack."""
