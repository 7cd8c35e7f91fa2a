"""The compiled core: a tape as arrays of numbers, run over blocks of rows.

`program` lays a tape out, `evaluation` runs it, `rows` reduces rows to R factors, `gradient` to
gradients; `marquardt` and `first_order` are whole loops; `reduction`, `determination` and
`statistics` say what a fit is worth. `operators` puts all of it behind torch's dispatcher, with
`composite` as its plain torch.
"""
