"""The map of communes: shapes sent once, then only classes and points."""
