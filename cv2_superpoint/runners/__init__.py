"""Pixels in, logits and descriptor features out: one interface, equal results, different speed.

A runner is a callable ``(pixels, detect, describe) -> Maps``, whose `precision` names
its arithmetic. Calls change no state, so threads may share it.
"""
