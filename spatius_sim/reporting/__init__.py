"""Findings to a summary, and the summary to text and JSON. Nothing here decides."""
