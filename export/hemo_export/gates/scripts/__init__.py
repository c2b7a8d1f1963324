"""One script for each way a gate can fail; a failed export copies them beside its graphs."""
