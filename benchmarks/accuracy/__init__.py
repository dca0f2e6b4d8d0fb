"""Accuracy on image sequences in the HPatches layout."""
