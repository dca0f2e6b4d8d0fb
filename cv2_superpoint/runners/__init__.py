"""Pixels in, logits and descriptors out: equal results at different speeds."""
