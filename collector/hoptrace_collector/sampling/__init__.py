"""Late sampling: which invocations are exported, decided when they are over. Loaded only where it is set."""
