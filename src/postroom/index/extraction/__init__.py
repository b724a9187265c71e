"""Taking text out of attachments: what can be read (kinds), the formats, and the limited child that reads them.

Nothing that reads a stranger's file runs in a process of the server: `child` does, with limits on time, memory and
output, without files and network, and may die of it. `service` starts it when there is something to read.
"""
