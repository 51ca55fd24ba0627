"""Lists every rule, in the order in which they are judged.

An id never changes its meaning and is never reused. A rule is defined together with its check, in the module
named here. Source tags: `seed:NNN` and `docs:PAGE` are documents; `recording`, `sdk-py`, `sdk-e2e`, `demos`,
`plugin` and `ios-rtc` are what published software was seen to do.
"""

from collections.abc import Iterable

from spatius_sim.protocol.did_you_mean import suggest_names
from spatius_sim.protocol.errors import UsageError
from spatius_sim.rules.client import ids as client_ids
from spatius_sim.rules.client import motion as client_motion
from spatius_sim.rules.client import playback as client_playback
from spatius_sim.rules.egress import agent_events, data_packet_size, joining_and_tracks, keyframes_and_sound
from spatius_sim.rules.relay import audio as relay_audio
from spatius_sim.rules.relay import bad_clients as relay_bad_clients
from spatius_sim.rules.relay import conversation as relay_conversation
from spatius_sim.rules.relay import failures as relay_failures
from spatius_sim.rules.relay import latency as relay_latency
from spatius_sim.rules.relay import motion as relay_motion
from spatius_sim.rules.relay import secrets as relay_secrets
from spatius_sim.rules.relay import sizes as relay_sizes
from spatius_sim.rules.relay import turns_cut_off as relay_turns_cut_off
from spatius_sim.rules.relay import upstream_audio as relay_upstream_audio
from spatius_sim.rules.relay import upstream_sessions as relay_upstream_sessions
from spatius_sim.rules.rule import Rule
from spatius_sim.rules.server import admission as server_admission
from spatius_sim.rules.server import motion as server_motion
from spatius_sim.rules.server import session as server_session

REVISION = 12
"""The catalogue's revision; it grows whenever a rule is added, retired or judged otherwise."""


def rules_in_order(rules: Iterable[Rule]) -> dict[str, Rule]:
    """Return the given rules by id, in the order of the catalogue. Raises ValueError if two rules have the
    same id, or if a rule comes before a rule that it presumes."""
    rules_by_id: dict[str, Rule] = {}
    for rule in rules:
        if rule.id in rules_by_id:
            raise ValueError(f"{rule.id} stands twice in the catalogue")
        missing = [name for name in rule.presumes if name not in rules_by_id]
        if missing:
            raise ValueError(f"{rule.id} presumes {', '.join(missing)}, which must stand before it")
        rules_by_id[rule.id] = rule
    return rules_by_id


_CONTENTS = (
    server_admission.token_window,  # S-TOKEN-WINDOW
    server_admission.token_key,  # S-TOKEN-KEY
    server_admission.upgrade_refused,  # S-UPGRADE-REFUSED
    server_admission.token_expiry,  # S-TOKEN-EXPIRY
    server_session.confirm,  # S-CONFIRM
    server_session.handshake_refused,  # S-HANDSHAKE-REFUSED
    server_session.handshake_closed,  # S-HANDSHAKE-CLOSED
    server_motion.motion_ids,  # S-MOTION-IDS
    server_motion.motion_end,  # S-MOTION-END
    server_motion.motion_count,  # S-MOTION-COUNT
    server_motion.motion_segments,  # S-MOTION-SEGMENTS
    server_motion.motion_shape,  # S-MOTION-SHAPE
    server_motion.motion_moves,  # S-MOTION-MOVES
    server_session.egress_silent,  # S-EGRESS-SILENT
    server_session.interrupt,  # S-INTERRUPT
    relay_secrets.tokenless,  # R-TOKENLESS
    relay_upstream_sessions.token,  # U-TOKEN
    relay_upstream_sessions.token_fresh,  # U-TOKEN-FRESH
    relay_upstream_sessions.configure,  # U-CONFIGURE
    relay_upstream_audio.turn_id,  # U-TURN-ID
    relay_upstream_audio.audio_aligned,  # U-AUDIO-ALIGNED
    relay_upstream_audio.audio_end,  # U-AUDIO-END
    relay_upstream_audio.rate,  # U-RATE
    relay_upstream_audio.audio_complete,  # U-AUDIO-COMPLETE
    data_packet_size.data_limit,  # E-LIMIT
    relay_failures.recover,  # R-RECOVER
    relay_motion.motion_verbatim,  # R-MOTION-VERBATIM
    relay_motion.motion_order,  # R-MOTION-ORDER
    relay_motion.motion_complete,  # R-MOTION-COMPLETE
    relay_audio.end_audio,  # R-END-AUDIO
    relay_audio.audio_complete,  # R-AUDIO-COMPLETE
    relay_audio.audio_first,  # R-AUDIO-FIRST
    relay_conversation.turns_follow,  # R-TURNS
    relay_conversation.isolation,  # R-ISOLATION
    relay_conversation.conversation,  # R-CONVERSATION
    relay_failures.goes_on_with_audio,  # R-FALLBACK
    relay_failures.error_told,  # R-ERROR-TOLD
    relay_upstream_sessions.retry,  # U-RETRY
    relay_sizes.large,  # R-LARGE
    relay_sizes.huge,  # R-HUGE
    relay_latency.latency,  # R-LATENCY
    relay_motion.end_motion,  # R-END-MOTION
    relay_motion.late_mark,  # R-LATE-MARK
    relay_turns_cut_off.nothing_stale,  # R-STALE
    relay_turns_cut_off.hang_up,  # U-HANGUP
    relay_bad_clients.slow_client,  # R-SLOWCLIENT
    relay_bad_clients.bad_input,  # R-BADINPUT
    relay_secrets.secrets,  # R-SECRETS
    relay_failures.alive,  # R-ALIVE
    client_ids.ids,  # C-ID
    client_ids.new_ids,  # C-ID-NEW
    client_motion.mismatch_discarded,  # C-MISMATCH
    client_motion.early_motion_discarded,  # C-EARLY
    client_motion.interrupt,  # C-INTERRUPT
    client_playback.pause,  # C-PAUSE
    client_playback.empty,  # C-EMPTY
    client_motion.empty_sticky,  # C-EMPTY-STICKY
    client_motion.empty_scope,  # C-EMPTY-SCOPE
    client_motion.empty_mismatch,  # C-EMPTY-MISMATCH
    client_playback.abnormal_end,  # C-ABNORMAL
    client_playback.no_end,  # C-NOEND
    client_playback.starve,  # C-STARVE
    client_playback.states,  # C-STATES
    client_ids.current_id,  # C-ID-CURRENT
    client_motion.unknown_fields_ignored,  # C-UNKNOWN
    client_motion.motion_matches,  # C-MATCH
    client_motion.motion_in_sync,  # C-SYNC
    joining_and_tracks.refused,  # E-REFUSED
    joining_and_tracks.joins,  # E-JOIN
    joining_and_tracks.leaves,  # E-LEAVE
    joining_and_tracks.tracks,  # E-TRACKS
    joining_and_tracks.late_viewer,  # E-LATE
    keyframes_and_sound.sound,  # E-SOUND
    keyframes_and_sound.packet_for_each_keyframe,  # E-COUNT
    keyframes_and_sound.order,  # E-ORDER
    keyframes_and_sound.marks,  # E-MARKS
    keyframes_and_sound.verbatim,  # E-VERBATIM
    keyframes_and_sound.sync,  # E-SYNC
    agent_events.playback,  # E-PLAYBACK
    agent_events.interrupt,  # E-INTERRUPT
)

RULES = rules_in_order(_CONTENTS)
"""All rules by id, each after those that it presumes."""


def find_rule(rule_id: str) -> Rule:
    """Return the rule of the catalogue with this id. Raises UsageError, which suggests ids, if there is
    none."""
    try:
        return RULES[rule_id]
    except KeyError:
        near = suggest_names(rule_id, RULES, "`spatius-sim rules` lists them all")
        raise UsageError(f"no rule has the id {rule_id!r}; {near}") from None


def rules_for(subject: str) -> tuple[Rule, ...]:
    """Return the rules that judge this subject: `relay`, `server`, `client` or `room`."""
    return tuple(candidate for candidate in RULES.values() if candidate.subject == subject)
