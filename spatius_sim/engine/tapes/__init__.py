"""Tapes: they are checked by the rules, replayed, and recorded by a proxy."""
