"""Compares the 1.5 engine with recordings of the reference implementation: ``python -m tests.parity15 PACK_DIR``."""
