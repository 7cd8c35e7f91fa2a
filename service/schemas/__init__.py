"""Pydantic models of the request and response bodies. They do not import torch."""
