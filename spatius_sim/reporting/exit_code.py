"""What the process of a command says. Nothing heavy is imported: every command needs it."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process says; the same from pytest and from `spatius-sim verify`."""

    PASSED = 0
    RULE_FAILED = 1
    INTERRUPTED = 2
    KIT_FAILED = 3
    USAGE = 4
    NOT_EXERCISED = 5
    UNREACHABLE = 6
