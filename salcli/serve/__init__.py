"""A local page and an interface for programs: pictures and clips in, maps out."""
