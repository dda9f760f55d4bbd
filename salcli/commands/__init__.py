"""The commands, one file each; heavy modules are imported inside functions."""
