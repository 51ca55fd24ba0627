"""The mock Motion Server as a library: class, fixture and control interface."""
