"""Answers as text for a terminal, tables and pictures. `report` depends on the schemas only, so a
client can print one without torch, fastapi or matplotlib. `views` has what each picture shows;
`figure` imports matplotlib, and is imported only to draw a figure."""
