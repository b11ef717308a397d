"""Talk to Kaggle through the official client: download, submit once, keep the ledger."""
