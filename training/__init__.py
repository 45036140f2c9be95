"""How the embedded model is made: data, training and evaluation; each stage runs with `python -m` from the checkout."""
