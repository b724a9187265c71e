"""Everything between "bytes arrived" and "250": recipients, checks, trace, acceptance into the queue."""
