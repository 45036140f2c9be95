"""Measurements of this product on the machine at hand; each module runs with `python -m`."""
