"""What a shop's data means: the contract, and every feature."""
