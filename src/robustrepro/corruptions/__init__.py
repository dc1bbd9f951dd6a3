"""The 15 common corruptions of ImageNet-C at five severities, made on the fly, one function per corruption.

Each takes a batch of 8-bit colour images and one random stream per image, and returns a batch of the same shape. What
an image becomes depends on nothing but the image, its stream and the severity. Parameters are those of the published
data sets: ImageNet-C (224 pixels), Tiny-ImageNet-C (64) and CIFAR-10-C (32). The faults of the published code are kept,
because the published error rates were measured with them; each is described at the function that it concerns.

A corruption is drawn first and applied then: whatever is random about one image is an argument of the function that
applies it, so that numbers which another generator drew can be put in.

References
----------
Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations", ICLR 2019.
"""
