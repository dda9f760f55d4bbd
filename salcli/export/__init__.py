"""Networks as files for programs without salcli."""
