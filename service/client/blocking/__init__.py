"""The blocking client, which is generated."""
