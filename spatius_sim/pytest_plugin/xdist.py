"""How pytest-xdist shares out a run in which one subject is judged. Imported only if it is installed."""

from xdist.scheduler import LoadScopeScheduling

from spatius_sim.pytest_plugin.collect_outcomes import rule_in
from spatius_sim.rules.catalogue import RULES


class OneWorkerForTheSubject(LoadScopeScheduling):
    """There is one subject and one port of ours: all items that judge a rule go to the same worker. Others go
    wherever there is room.

    By the node ids alone: pytest-xdist 3.8 writes its own groups where pytest 9.2 no longer reads them.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "spatius-sim" if rule_in(nodeid) in RULES else nodeid
