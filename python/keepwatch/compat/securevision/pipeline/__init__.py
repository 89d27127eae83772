"""What events pass through on their way to the store."""
