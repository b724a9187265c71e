"""Many IMAP clients at random on shared mailboxes of a real server, every response checked (python -m … --help).

talk: octets; words: responses; ledger: what can never change, whoever says it; belief: what one session was told and
what follows from it; client and actions: random commands; run: a server, its clients, the end; replay: the commands of
a run once more.
"""
