"""`losing_relay_process.py PORT`: a relay that loses motion once a turn was interrupted twice."""

import asyncio

from spatius_sim.tests.engine.test_newly_broken import LosesBehindTwoInterrupts
from spatius_sim.tests.processes.miniature_relay_process import main

if __name__ == "__main__":
    asyncio.run(main(LosesBehindTwoInterrupts))
