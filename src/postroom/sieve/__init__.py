"""Sieve: the language in which people say what becomes of their mail.

Pure: script text, a message and an environment in, actions out. No sockets, clocks, disks or threads; what a script
asks of the world (does this mailbox exist, was this seen before) are Protocols of `world`.
Standards: RFC 5228 and the extensions listed in `extensions`.
On failure: BadScript with every fault of a script, ScriptError for what goes wrong while one runs.
"""
