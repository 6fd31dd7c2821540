"""Where a trace's context hides in each wire shape: one file for each, what writes it and what reads it side by side.

The two halves of a shape stand together so that they cannot drift apart. What is written never changes what the
user's call means and never makes it fail: attributes and bytes are counted first, whatever the user put there stays,
the caller's own objects are never touched, and a function that could not write returns the very object it was given.
What is read is another's input, so it is read through `Shape`. Which texts a context is, `hoptrace.propagation` says.
"""
