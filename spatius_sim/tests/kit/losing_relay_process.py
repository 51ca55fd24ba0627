"""`losing_relay_process.py PORT`: a relay that loses motion once a turn was interrupted."""

import asyncio

from spatius_sim.tests.kit.miniature_relay_process import main
from spatius_sim.tests.kit.test_overturned import LosesBehindAnInterrupt

if __name__ == "__main__":
    asyncio.run(main(LosesBehindAnInterrupt))
