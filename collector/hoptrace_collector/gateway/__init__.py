"""The collector on a host of its own, for many functions: OTLP/HTTP in, OTLP out, and what only one who sees all knows.

Nothing of it is loaded in a Lambda extension, and the layer does not hold it.
"""
