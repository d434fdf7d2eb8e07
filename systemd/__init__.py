"""The service unit, as package data."""
