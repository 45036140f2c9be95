"""Compares the engine with recordings of the reference implementation: ``python -m tests.parity PACK_DIR``."""
