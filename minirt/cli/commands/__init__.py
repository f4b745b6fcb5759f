"""One module a family of commands; each command is a click command with its options, and the work it does."""
