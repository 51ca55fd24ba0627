"""Files: traces, recordings and speech clips."""
