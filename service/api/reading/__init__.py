"""Bodies, whatever their form.

`bodies` is what a route calls. `arrival` takes in the bytes. JSON goes to pydantic (`api.parsing`;
a large body to `api.parser`, whose columns of numbers `json_numbers` reads), each other form to its
reader in the table of `forms`, which makes columns of it. `keys` sees to it that what differs in
the column that tells groups apart stays apart. The rest of such a request stands in the
query string (`options`), and `assembling` joins the two.
"""
