"""Decides when a function is in trouble and tells EventBridge, so that another function can act on it."""
