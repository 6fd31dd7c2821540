"""Gets the data in: the tracer's records and bell, and Lambda's Telemetry API."""
