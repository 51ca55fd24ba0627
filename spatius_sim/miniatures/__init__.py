"""Subjects that are wrong in one way, and honest ones that differ. Only tests import them."""
