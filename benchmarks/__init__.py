"""What the system does a second and what that costs: each module prints ours, the peers and the limit, from one run."""
