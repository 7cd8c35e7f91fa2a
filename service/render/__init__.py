"""Answers as text for a terminal, tables and pictures.

`report` depends on the schemas only, so a client can print one without torch, fastapi or
matplotlib. `figures` imports matplotlib, and is imported only to draw a picture.
"""
