-- The area a case concerns (a warning's polygon), as GeoJSON: {"type": "Polygon" | "MultiPolygon", "coordinates": [...]}. Frozen once shipped.
ALTER TABLE case_state ADD COLUMN shape jsonb;
