"""The engine: a plan in, a stream of events out."""
