"""Mutants of the JavaScript client, made by Stryker and judged by `spatius-sim verify`."""
