"""The demonstration: guarded producers and consumers against an embedded AWS emulator over real TLS."""
