"""Read files as data, never as programs: arrays, JSON and Keras models, from anybody."""
