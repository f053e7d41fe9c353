"""Pages that a person reads: one run, two runs beside one another, a sweep. Pure: one result, the same bytes."""
