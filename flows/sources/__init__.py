"""How a shop's export becomes the contract's columns: one mapping file a shop."""
