"""The training side: the only folder that imports TensorFlow and Keras."""
