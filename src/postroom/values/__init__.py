"""Values every room shares: addresses, flags, refusals, the clock.

Standard library only; everything here is immutable and hashable, and knows nothing of IO.
"""
