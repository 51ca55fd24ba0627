"""Shares out the items of a run among the workers of pytest-xdist. Imported only if that is installed."""

from xdist.scheduler import LoadScopeScheduling

from spatius_sim.pytest_plugin.pytest_outcomes import rule_id_in
from spatius_sim.rules.catalogue import RULES


class OneWorkerForTheSubject(LoadScopeScheduling):
    """Sends all items that judge a rule to the same worker, because there is one subject and one port of
    ours. Other items go to any worker.

    Only the node ids are used: pytest-xdist 3.8 writes its own groups where pytest 9.2 no longer reads them.
    """

    def _split_scope(self, nodeid: str) -> str:
        """Return the name of the group of an item; pytest-xdist sends a group to one worker."""
        return "spatius-sim" if rule_id_in(nodeid) in RULES else nodeid
