"""Hostile inputs: a corpus, the watched process that runs the product on it, and a fuzzer."""
