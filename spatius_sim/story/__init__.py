"""A trace, joined into turns, requests, conversations and deliveries, for all rules."""
