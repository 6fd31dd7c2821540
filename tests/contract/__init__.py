"""Every carrier, by really sending: a real client, an emulator that really delivers, the same context at the end."""
