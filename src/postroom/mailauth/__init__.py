"""Who sent this: DKIM, ARC, SPF, DMARC and the Authentication-Results field.

Pure: octets and DNS answers in, results with reasons in plain words out; no IO, no clock, no randomness. Whoever asks
gives the time and a `postroom.values.dns.Dns`. Every message and every record is hostile: nothing here raises on one.
"""
