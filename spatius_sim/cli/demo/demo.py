"""`spatius-sim demo`: prints two conversations while they happen."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from spatius_sim.cli.common import seed_option
from spatius_sim.reporting.exit_code import ExitCode

if TYPE_CHECKING:
    from rich.console import Console

    from spatius_sim.cli.demo.demo_conversations import DemoResult, DemoSetup
    from spatius_sim.trace.events import Trace

_PLAYER_PAGE = Path("reports") / "demo.html"


@click.command()
@seed_option
def demo(seed: int) -> int:
    """Show two conversations through the whole pipeline.

    Real speech goes through the reference relay (on the published Server SDK) and our Motion Server to our
    client. The rules judge the first conversation; in the second Motion Server dies, and it shows how
    audio-only looks. Both can be looked at afterwards: reports/demo.html is a page on which a face speaks.
    """
    import asyncio

    from spatius_sim.cli.demo.demo_conversations import play_clean_conversation, play_dying_motion_server
    from spatius_sim.files.clip_file import read_clip
    from spatius_sim.files.find_resources import resource
    from spatius_sim.protocol.audio import BYTES_PER_SAMPLE
    from spatius_sim.reporting.formats.output_console import OutputConsole

    console = OutputConsole()
    clip = read_clip(resource("fixtures") / "speech" / "hello.wav")
    console.rule("act one: a clean conversation")
    sample_count = len(clip.pcm) // BYTES_PER_SAMPLE
    with _Watch(console, sample_count) as watch:
        first_result = asyncio.run(play_clean_conversation(clip, seed, watch))
    is_clean = _show_clean_conversation(console, first_result, seed)
    console.rule("act two: Motion Server dies in mid-turn")
    with _Watch(console, sample_count) as watch:
        second_result = asyncio.run(play_dying_motion_server(clip, seed, watch))
    went_on = _show_conversation_after_death(console, second_result)
    _write_player_page(console, [first_result.trace, second_result.trace])
    return 0 if is_clean and went_on else ExitCode.RULE_FAILED


def _write_player_page(console: "Console", traces: "list[Trace]") -> None:
    """Write a web page that plays the recorded conversations of the demo, and print its path. If the page
    cannot be written, print the reason instead."""
    from spatius_sim.cli.print_output import write_output_file
    from spatius_sim.protocol.errors import UsageError
    from spatius_sim.reporting.player.runs_to_player_data import build_player
    from spatius_sim.reporting.player.write_player_page import player_page

    try:
        write_output_file(_PLAYER_PAGE, player_page(build_player(traces, "demo")))
    except UsageError as error:
        console.print(f"no page to look at: {error}", highlight=False)
    else:
        console.print(f"see it: open {_PLAYER_PAGE} in a browser", highlight=False, soft_wrap=True)


class _Watch:
    """Shows a conversation of the demo while it happens: a live picture on a terminal, or else a line every
    two seconds."""

    _CALLS_PER_PICTURE = 4
    _CALLS_PER_LINE = 80

    def __init__(self, console: "Console", total_samples: int) -> None:
        """Prepare to show one conversation of the demo: as a picture if the console is a terminal, otherwise
        as lines. `total_samples` is the length of its speech in samples."""
        from rich.live import Live

        from spatius_sim.cli.demo.draw_conversation import ConversationView

        self._console, self._total_samples = console, total_samples
        self._view = ConversationView()
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._call_count = 0

    def __enter__(self) -> "_Watch":
        """Start the live picture."""
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop the live picture."""
        if self._live is not None:
            self._live.stop()

    def __call__(self, setup: "DemoSetup", spoken_samples: int) -> None:
        """Show how far the demo's conversation is, as a picture or a line: `spoken_samples` samples of its
        speech are spoken by now. This is called often, and most calls show nothing."""
        from spatius_sim.cli.demo.demo_conversations import figures_now

        now = figures_now(setup, spoken_samples, self._total_samples)
        if self._live is not None and self._call_count % self._CALLS_PER_PICTURE == 0:
            self._live.update(self._view.draw(now), refresh=True)
        elif self._live is None and self._call_count % self._CALLS_PER_LINE == 0:
            self._console.print(
                f"{now.spoken_seconds:4.1f} s spoken, {now.payloads_taken} payloads taken, avatar {now.state}"
            )
        self._call_count += 1


def _show_clean_conversation(console: "Console", result: "DemoResult", seed: int) -> bool:
    """Judge the demo's first conversation, in which nothing goes wrong, and print the verdicts. Return
    whether a test run with these verdicts would pass."""
    from spatius_sim.cli.demo.demo_conversations import judge_conversation
    from spatius_sim.reporting.formats.text_report import print_summary
    from spatius_sim.reporting.summary import exit_code

    summary = judge_conversation(result.trace, seed)
    print_summary(console, summary)
    return exit_code([summary]) is ExitCode.PASSED


def _show_conversation_after_death(console: "Console", result: "DemoResult") -> bool:
    """Print what must happen in the demo's second conversation, after Motion Server died: for each thing,
    whether it happened. Return whether all of it happened."""
    happened_by_text = {
        f"the relay told its client: {result.failure_message or 'nothing'}": bool(result.failure_message),
        "the client called yieldFramesData with an empty list: audio-only": result.audio_only,
        "the audio played out, and the avatar came back to idle": result.played_out,
    }
    for text, happened in happened_by_text.items():
        console.print(f"{'yes' if happened else 'NO ':3}  {text}", highlight=False)
    return all(happened_by_text.values())
