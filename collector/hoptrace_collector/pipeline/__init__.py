"""Holds what waits to be sent, within a bound, and sends it in batches while there is time."""
