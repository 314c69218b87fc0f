"""IOC: an intelligent operations centre for a Vietnamese province."""

__version__ = "0.1.0"
