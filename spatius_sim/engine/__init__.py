"""A run, without pytest: options become settings, a run, a trial, a search, evidence and a report."""
