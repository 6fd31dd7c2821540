"""Speaks with Lambda: registers, asks for events, and says when there is time to work."""
