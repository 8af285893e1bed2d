"""Camera paths: the builder, operations, previews and checks."""
