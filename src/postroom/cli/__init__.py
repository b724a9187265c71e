"""The command `postroom`.

Each command lives in a file of its own that is imported only when it runs, so that `--help` stays fast. Results go to
standard output, messages to standard error; `--json` gives every result as one line of JSON.
"""
