"""Makes a summary from findings, and reports from the summary. Nothing here decides a verdict."""
