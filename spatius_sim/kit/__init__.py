"""What suites are written with: subjects, plans, the search for a failure, the pytest plugin."""
