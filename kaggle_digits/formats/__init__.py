"""Read arrays, JSON and Keras models from untrusted files, without running code in them."""
