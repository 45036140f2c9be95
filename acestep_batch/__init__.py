"""Declarative batch generation with ACE-Step: manifests in; audio, records and a summary out."""

import logging

__version__ = "0.1.0"

logging.getLogger(__name__).addHandler(logging.NullHandler())  # without a run's log, nothing is written in between
