"""`family_of_processes.py PIDS COMMAND...`: notes its own pid and those of three children in the file PIDS,
and becomes that command. One child is of its own group, one has a session of its own, and one is a daemon,
whose parent has ended. All of them ignore polite requests to end."""

import os
import signal
import sys
import time
from pathlib import Path


def child(noted: Path, *, session: bool = False, orphan: bool = False) -> None:
    """Fork a process that stays for ten minutes and notes its pid."""
    first = os.fork()
    if first:
        if orphan:
            os.waitpid(first, 0)
        return
    if session:
        os.setsid()
    if orphan and os.fork():
        os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with noted.open("a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(600)
    os._exit(0)


def main() -> None:
    noted = Path(sys.argv[1])
    with noted.open("a") as file:
        file.write(f"{os.getpid()}\n")
    child(noted)
    child(noted, session=True)
    child(noted, session=True, orphan=True)
    while noted.read_text().count("\n") < 4:
        time.sleep(0.01)
    os.execvp(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
