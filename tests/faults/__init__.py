"""The guard under faults of the network and of the service: a proxy between client and emulator breaks what passes."""
