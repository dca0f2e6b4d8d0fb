"""Matching of photographs turned and made smaller."""
