"""Sends: OTLP over HTTP, with the specification's rules for what to try again."""
