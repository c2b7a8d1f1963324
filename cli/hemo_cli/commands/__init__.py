"""One file for each group of commands. Nothing but options and presentation."""
