"""The commands, one file each; heavy things are imported inside the functions."""
