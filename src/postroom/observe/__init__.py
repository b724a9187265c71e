"""What the server tells about itself: events in a log of JSON lines, and counts of them."""
