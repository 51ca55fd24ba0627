"""Rules for relays: U as Motion Server sees them, R as their clients do."""
