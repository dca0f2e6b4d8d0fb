"""Pseudo-labels of photographs."""
