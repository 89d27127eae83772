"""The calls of the tools that Keepwatch takes over from, over its own core."""
