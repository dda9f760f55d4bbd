"""Video encoded with more bits where people look, and QP offsets for other encoders."""
