"""What is changed in the weights of a trained model to derive another one, one file per kind."""
