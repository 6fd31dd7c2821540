"""What demo and patterns are played on: the emulated AWS, the line to the local Lambda, the layer, the steps."""
