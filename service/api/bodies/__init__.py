"""Reading of request bodies in every format.


Routes call `bodies`; `arrival` receives the bytes. JSON is parsed by pydantic (`api.parsing`; a
large body by `api.parser`, its columns of numbers by `json_numbers`). Each other format has a
reader in the table of `forms`, which returns columns; the options of such a request are in the
query string (`options`), and `assembling` joins both. `keys` keeps distinct keys of the `group_by`
column distinct."""

from __future__ import annotations
