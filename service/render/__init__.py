"""Answers as people look at them: text for a terminal, tables, pictures.

`report` and what it stands on know the schemas alone, so that a client without torch, fastapi or
matplotlib can print one. `figures` knows matplotlib, and is imported where a picture is drawn.
"""
