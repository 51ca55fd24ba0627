"""The recording format: writes, reads, cleans, cuts, merges and compares tapes."""
