"""What the spans say, for people: the waterfall of a trace, figures by function, the alert.

Everything here is a function from received values to lines or tables; nothing reads a socket or a clock.
"""
