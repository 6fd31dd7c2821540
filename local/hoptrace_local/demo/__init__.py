"""The demo: an emulated AWS, a local Lambda and an event-driven application, run once from end to end.

Every event is made by the emulator, every function runs in a real process under the real runtime client, and what is
shown at the end is what arrived by OTLP.
"""
