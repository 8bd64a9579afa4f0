"""Runs on disk: durable first, readable after any crash."""
