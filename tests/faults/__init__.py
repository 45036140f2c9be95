"""Faults that are tried with real processes: killed, refused by the system, out of space, in each other's way."""
