"""The ACE-Step v1 engine: text to music by flow matching."""
