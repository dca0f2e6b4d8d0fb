"""Training of the weights that ship: ``python -m train`` from a checkout."""
