"""Many simulated turns over modelled networks: studies, figures with their confidence, budgets, reports."""
