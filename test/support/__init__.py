"""What the Python tests share: worker processes, small models, comparison, the places of the data."""
