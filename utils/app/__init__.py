"""The page that `python -m utils app` serves: `command` reads the flags, `page` says what is on it."""
