"""What must be true of each table, and what happens when it is not."""
