"""What `postroom check` looks for in the files of the store, and what `--repair` makes anew.

`row_rules` says what a rule about rows is; `account_rules` and `shared_rules` are the rules, the invariants of
docs/store.md. What SQL cannot see is looked at by the other files: accounts (`account`, `contents`, `sharing`), the
files that all share (`shared`), queue, quarantine, events. `mend` makes anew what follows from the mail of an account.
Nothing here runs while mail is served, but when it is asked for: `store.embedded.care` does that.
"""
