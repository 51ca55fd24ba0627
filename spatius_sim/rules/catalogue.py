"""Lists every rule, in the order in which they are judged.

An id never changes its meaning and is never reused. A rule is defined together with its check, in the module
named here. Source tags: `seed:NNN` and `docs:PAGE` are documents; `recording`, `sdk-py`, `sdk-e2e`, `demos`,
`plugin` and `ios-rtc` are what published software was seen to do.
"""

from collections.abc import Iterable

from spatius_sim.protocol.did_you_mean import suggest_names
from spatius_sim.protocol.errors import UsageError
from spatius_sim.rules.client import empty_or_undecodable_motion as client_empty_or_undecodable_motion
from spatius_sim.rules.client import ids as client_ids
from spatius_sim.rules.client import motion as client_motion
from spatius_sim.rules.client import playback as client_playback
from spatius_sim.rules.egress import agent_events, data_packet_size, joining_and_tracks, keyframes_and_sound
from spatius_sim.rules.relay import audio_to_clients as relay_audio_to_clients
from spatius_sim.rules.relay import bad_clients as relay_bad_clients
from spatius_sim.rules.relay import failures as relay_failures
from spatius_sim.rules.relay import latency as relay_latency
from spatius_sim.rules.relay import motion_to_clients as relay_motion_to_clients
from spatius_sim.rules.relay import play_with_reference_decoder as relay_play_with_reference_decoder
from spatius_sim.rules.relay import secrets as relay_secrets
from spatius_sim.rules.relay import sizes as relay_sizes
from spatius_sim.rules.relay import turns_and_clients_apart as relay_turns_and_clients_apart
from spatius_sim.rules.relay import turns_cut_off as relay_turns_cut_off
from spatius_sim.rules.relay import upstream_audio as relay_upstream_audio
from spatius_sim.rules.relay import upstream_sessions as relay_upstream_sessions
from spatius_sim.rules.rule import Rule
from spatius_sim.rules.server import admission as server_admission
from spatius_sim.rules.server import lasting_sessions as server_lasting_sessions
from spatius_sim.rules.server import motion_responses as server_motion_responses
from spatius_sim.rules.server import session as server_session

REVISION = 20
"""The catalogue's revision; it grows whenever a rule is added, retired or judged otherwise."""


def map_rules_by_id(rules: Iterable[Rule]) -> dict[str, Rule]:
    """Return the given rules by id, in the order given. Raises ValueError if two rules have the same id, or
    if a rule stands before one that it presumes."""
    rules_by_id: dict[str, Rule] = {}
    for rule in rules:
        if rule.id in rules_by_id:
            raise ValueError(f"{rule.id} stands twice in the catalogue")
        missing_rules = [rule_id for rule_id in rule.presumes if rule_id not in rules_by_id]
        if missing_rules:
            raise ValueError(f"{rule.id} presumes {', '.join(missing_rules)}, which must stand before it")
        rules_by_id[rule.id] = rule
    return rules_by_id


_CONTENTS = (
    server_admission.check_token_window,  # S-TOKEN-WINDOW
    server_admission.check_api_key,  # S-TOKEN-KEY
    server_admission.check_bad_upgrades,  # S-UPGRADE-REFUSED
    server_admission.check_token_expiry,  # S-TOKEN-EXPIRY
    server_session.check_confirmation,  # S-CONFIRM
    server_session.check_handshake_errors,  # S-HANDSHAKE-REFUSED
    server_session.check_close_after_refusal,  # S-HANDSHAKE-CLOSED
    server_motion_responses.check_response_ids,  # S-MOTION-IDS
    server_motion_responses.check_end_of_motion,  # S-MOTION-END
    server_motion_responses.check_keyframe_count,  # S-MOTION-COUNT
    server_motion_responses.check_segment_lengths,  # S-MOTION-SEGMENTS
    server_motion_responses.check_keyframe_shape,  # S-MOTION-SHAPE
    server_motion_responses.check_motion_varies,  # S-MOTION-MOVES
    server_session.check_no_motion_beside_egress,  # S-EGRESS-SILENT
    server_session.check_silence_after_interrupt,  # S-INTERRUPT
    server_lasting_sessions.check_idle_sessions,  # S-IDLE
    server_lasting_sessions.check_playback_news,  # S-PLAYBACK-STATE
    relay_secrets.check_clients_without_credentials,  # R-TOKENLESS
    relay_upstream_sessions.check_tokens,  # U-TOKEN
    relay_upstream_sessions.check_tokens_are_fresh,  # U-TOKEN-FRESH
    relay_upstream_sessions.check_configuration,  # U-CONFIGURE
    relay_upstream_audio.check_req_ids,  # U-TURN-ID
    relay_upstream_audio.check_whole_samples,  # U-AUDIO-ALIGNED
    relay_upstream_audio.check_end_of_audio,  # U-AUDIO-END
    relay_upstream_audio.check_sample_rate,  # U-RATE
    relay_upstream_audio.check_audio_sent_up,  # U-AUDIO-COMPLETE
    data_packet_size.check_data_packet_size,  # E-LIMIT
    relay_failures.check_recovery,  # R-RECOVER
    relay_motion_to_clients.check_payload_bytes,  # R-MOTION-VERBATIM
    relay_motion_to_clients.check_payload_order,  # R-MOTION-ORDER
    relay_motion_to_clients.check_all_motion_arrives,  # R-MOTION-COMPLETE
    relay_audio_to_clients.check_audio_end_mark,  # R-END-AUDIO
    relay_audio_to_clients.check_audio_delivered,  # R-AUDIO-COMPLETE
    relay_audio_to_clients.check_audio_before_motion,  # R-AUDIO-FIRST
    relay_turns_and_clients_apart.check_motion_in_own_turn,  # R-TURNS
    relay_turns_and_clients_apart.check_clients_are_isolated,  # R-ISOLATION
    relay_play_with_reference_decoder.check_turns_can_be_played,  # R-CONVERSATION
    relay_failures.check_audio_after_failure,  # R-FALLBACK
    relay_failures.check_failure_is_told,  # R-ERROR-TOLD
    relay_upstream_sessions.check_retries,  # U-RETRY
    relay_sizes.check_large_payloads,  # R-LARGE
    relay_sizes.check_huge_payloads,  # R-HUGE
    relay_latency.measure_latency,  # R-LATENCY
    relay_motion_to_clients.check_motion_end_mark,  # R-END-MOTION
    relay_motion_to_clients.check_motion_before_audio_end,  # R-LATE-MARK
    relay_turns_cut_off.check_nothing_stale,  # R-STALE
    relay_upstream_sessions.check_hang_ups,  # U-HANGUP
    relay_bad_clients.check_slow_clients,  # R-SLOWCLIENT
    relay_bad_clients.check_misbehaving_clients,  # R-BADINPUT
    relay_secrets.check_no_secret_leaks,  # R-SECRETS
    relay_failures.check_signs_of_life,  # R-ALIVE
    client_ids.check_conversation_ids,  # C-ID
    client_ids.check_new_ids,  # C-ID-NEW
    client_motion.check_mismatched_motion,  # C-MISMATCH
    client_motion.check_early_motion,  # C-EARLY
    client_motion.check_interrupts,  # C-INTERRUPT
    client_playback.check_pauses,  # C-PAUSE
    client_empty_or_undecodable_motion.check_audio_after_empty_list,  # C-EMPTY
    client_empty_or_undecodable_motion.check_motion_after_empty_list,  # C-EMPTY-STICKY
    client_empty_or_undecodable_motion.check_motion_of_next_session,  # C-EMPTY-SCOPE
    client_empty_or_undecodable_motion.check_mismatched_empty_list,  # C-EMPTY-MISMATCH
    client_empty_or_undecodable_motion.check_undecodable_motion,  # C-ABNORMAL
    client_playback.check_audio_without_end_mark,  # C-NOEND
    client_playback.check_late_motion,  # C-STARVE
    client_playback.check_playback_states,  # C-STATES
    client_ids.check_current_id,  # C-ID-CURRENT
    client_motion.check_unknown_fields,  # C-UNKNOWN
    client_motion.check_rendered_motion,  # C-MATCH
    client_motion.check_motion_in_sync,  # C-SYNC
    joining_and_tracks.check_refused_rooms,  # E-REFUSED
    joining_and_tracks.check_joining,  # E-JOIN
    joining_and_tracks.check_leaving,  # E-LEAVE
    joining_and_tracks.check_tracks,  # E-TRACKS
    joining_and_tracks.check_late_viewers,  # E-LATE
    keyframes_and_sound.check_sound,  # E-SOUND
    keyframes_and_sound.check_keyframe_packets,  # E-COUNT
    keyframes_and_sound.check_frame_order,  # E-ORDER
    keyframes_and_sound.check_start_and_end,  # E-MARKS
    keyframes_and_sound.check_keyframes_unchanged,  # E-VERBATIM
    keyframes_and_sound.check_sync,  # E-SYNC
    agent_events.check_playback_reports,  # E-PLAYBACK
    agent_events.check_interrupts,  # E-INTERRUPT
)

RULES = map_rules_by_id(_CONTENTS)
"""All rules by id, each after those that it presumes."""


def find_rule(rule_id: str) -> Rule:
    """Return the rule of the catalogue with this id. If there is none, raise UsageError, whose text suggests
    similar ids."""
    try:
        return RULES[rule_id]
    except KeyError:
        suggestion = suggest_names(rule_id, RULES, "`spatius-sim rules` lists them all")
        raise UsageError(f"no rule has the id {rule_id!r}; {suggestion}") from None


def rules_for(subject: str) -> tuple[Rule, ...]:
    """Return the rules that judge this subject: `relay`, `server`, `client` or `room`."""
    return tuple(candidate for candidate in RULES.values() if candidate.subject == subject)
