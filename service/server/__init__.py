"""The HTTP server: uvicorn, with limits on every phase of a connection."""
