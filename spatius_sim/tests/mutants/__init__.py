"""Mutants of honest brains: strangers to the rules, on which the judge is measured."""
