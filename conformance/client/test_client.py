"""What every client must keep. Each item is one rule of the catalogue."""

from spatius_sim.pytest_plugin.suite import Judge, rule


@rule("C-ID")
def test_a_conversation_has_one_id(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("C-ID-NEW")
def test_a_new_conversation_has_a_new_id(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("C-MISMATCH")
def test_motion_with_another_id_changes_nothing(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("C-EARLY")
def test_motion_before_any_audio_is_discarded(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("C-INTERRUPT")
def test_interrupt_clears_audio_and_motion(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("C-PAUSE")
def test_a_pause_loses_nothing(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("C-EMPTY")
def test_empty_motion_leaves_the_audio_playing(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("C-EMPTY-STICKY")
def test_audio_only_lasts_for_the_session(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("C-EMPTY-SCOPE")
def test_audio_only_ends_with_the_session(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("C-EMPTY-MISMATCH")
def test_empty_motion_with_another_id_switches_nothing(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("C-ABNORMAL")
def test_undecodable_motion_leaves_the_audio_playing(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("C-NOEND")
def test_without_an_end_mark_it_stays_away_from_idle(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("C-STARVE")
def test_audio_goes_on_or_stalls_as_the_mode_says(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("C-STATES")
def test_states_change_as_documented(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("C-ID-CURRENT")
def test_the_current_id_is_the_active_one(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("C-UNKNOWN")
def test_unknown_fields_are_tolerated(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("C-MATCH")
def test_motion_with_the_current_id_is_played_in_order(spatius_judge: Judge) -> None:
    spatius_judge()


@rule("C-SYNC")
def test_keyframes_play_in_step_with_the_audio(spatius_judge: Judge) -> None:
    spatius_judge()
