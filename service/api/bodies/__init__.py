"""Reading of request bodies in every format.

Routes call `reading`, which receives the bytes, within the limits, and returns a schema. JSON is
parsed by pydantic (`json`; a large body by another process, `parser`, its columns of numbers by
`json_numbers`). Each other format has a reader in the table of `forms`, which returns a `table` of
columns; the options of such a request are in the query string (`options`).
"""
