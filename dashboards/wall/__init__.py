"""The wall: scenes from YAML, drawn to fit any screen exactly."""
