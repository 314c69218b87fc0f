"""A whole simulated province: clock, rhythm, places, and the server that hosts the connectors' simulated sources.

What exists at a time is a pure function of (seed, rate, time), plus the faults somebody asked for: nothing is stored,
so memory stays bounded and a restarted simulator goes on with the same story. `province.Province` is what a simulated
source gets; `stream.Flow` its cases; `server.serve` hosts the sources found in `connectors/*/simulated.py`.
"""
