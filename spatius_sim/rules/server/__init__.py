"""Rules for Motion Servers."""
