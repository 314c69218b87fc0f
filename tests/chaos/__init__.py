"""The chaos rig: the whole system as real processes, killed at random, compared with an oracle that shares no code."""
