"""RFC 5322 and MIME as octets: what IMAP prints of a message, what search reads in it, and the reports we write.

Pure: bytes in, values out; no IO, no clock, no randomness. Every message is hostile, so limits come first
(`index.IndexLimits`) and nothing here raises on bad mail, except where a docstring names an error.
"""
