"""Full-text search: what people ask (query), what a message says (documents), and where it is found (segments).

Owns: each account's index.db, through the store. It is kept from the change feed, may lag behind and may be lost: what
it does not know yet is looked for in the messages themselves, and it is made anew from them.
"""
