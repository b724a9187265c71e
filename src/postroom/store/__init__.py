"""Where mail, the directory and the queue are kept.

`api` says what a store promises; `embedded` keeps it in SQLite files and plain files, `memory` in memory for tests.
Only `app`, `cli` and `testing` name an implementation. All SQL lives in `embedded`; nothing here knows a protocol
or MIME.
"""
