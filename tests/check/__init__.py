"""The probes of examples/check, run here, and the report on what they answer."""
