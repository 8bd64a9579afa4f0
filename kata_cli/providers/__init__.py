"""Providers: the service that every request passes, and one adapter per vendor behind it."""
