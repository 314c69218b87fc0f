"""The page of the operators on shift: feeds, services, dead letters."""
