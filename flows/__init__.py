"""When things run: Prefect flows from a shop's export to a release."""
