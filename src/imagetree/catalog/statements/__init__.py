"""Questions to the catalog, one file a noun; none of them writes."""
