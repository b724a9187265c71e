"""The composition root: reads the configuration, picks the store, wires the rooms, supervises the processes."""
