"""Compares the 1.5 engine with recordings of the original implementation."""
