"""The attacks of Foolbox 1.8 with its defaults, on batches, one file per attack.

What they share with that library and with no later one: an image's adversarial example is, of all the misclassified
points that went through the model, the one nearest to the image in mean squared distance; every iterate is inside
the box; and what an attack gives up is a failure. No image's search depends on the others of its batch.
"""
