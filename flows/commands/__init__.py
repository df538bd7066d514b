"""The subcommands of `aisle`, one file each; loaded only when called."""
