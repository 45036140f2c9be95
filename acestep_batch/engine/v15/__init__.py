"""The ACE-Step 1.5 engine: planner and diffusion; importing this package imports no torch."""
