"""The mappings inside models of other libraries. Each module needs its library."""
