"""The outcome of a scale, brought to where it is read on the web."""

from robustrepro.publishing.publish import publish

__all__ = ["publish"]
