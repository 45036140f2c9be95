"""Engines: conditions to latents to audio; importing this package imports no torch."""
