"""What observers did: fixations and density, read from files and made comparable to maps."""
