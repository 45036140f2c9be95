"""Declarative batch generation with ACE-Step: manifests in; audio, records and a summary out."""

__version__ = "0.1.0"
