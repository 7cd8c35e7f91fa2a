"""What goes over the wire: pydantic models, and nothing else. No torch here."""
