"""The collector: receives what the tracer recorded, completes it, and sends it on, outside the user's process."""
