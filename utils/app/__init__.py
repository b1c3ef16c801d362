"""The page that `python -m utils app` serves.

`command` reads the flags, `serving` takes the address, `gate` lets requests through, `uploads` looks at what is sent,
`page` says what is shown.
"""
