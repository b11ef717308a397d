"""Use Kaggle through its official client: download, submit once, record submissions."""
