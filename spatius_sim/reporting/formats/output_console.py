"""A console on standard output that raises an error if its reader has left."""

from rich.console import Console


class OutputConsole(Console):
    """rich ends the process with 1 if a pipe is closed. Here 1 means that a rule was broken: so whoever
    prints decides what a closed pipe is."""

    def on_broken_pipe(self) -> None:
        """Raise the BrokenPipeError that rich is handling."""
        raise
