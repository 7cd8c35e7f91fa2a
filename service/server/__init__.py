"""What stands between the network and the application: uvicorn, with a bound on every phase of a
connection."""
