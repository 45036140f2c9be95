"""Scores of songs by other models, where their weights are on disk; nothing here is ever downloaded."""
