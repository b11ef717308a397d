"""Transforms of images before they enter a network: augmentation, deslanting, mixup."""
