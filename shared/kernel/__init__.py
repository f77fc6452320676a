"""Values without I/O: identifiers, the clock port, resource slots, rejections."""
