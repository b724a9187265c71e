"""Remote recipients of the queue: routes, connections, transactions, and what each server answered."""
