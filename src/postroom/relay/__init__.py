"""Remote recipients of the queue: each message to the smart host, and its answers back to the queue."""
