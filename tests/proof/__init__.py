"""Oracles for the judge of queue policies, and the random policies on which they are compared with it."""
