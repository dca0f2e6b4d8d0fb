"""Pixels in, logits and descriptor features out: one interface, equal results, other speed.

A runner is a callable ``(pixels, detect, describe) -> Maps``, with the name of its arithmetic as
`precision`. It has no state that a call changes, so threads may share it.
"""
