"""Functions with other people's packages, really installed, run without the layer and with it."""
