"""The ACE-Step 1.5 engine: a language model plans a song, a diffusion transformer renders it; imports no torch."""
