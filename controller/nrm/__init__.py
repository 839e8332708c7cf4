"""Network resource models: device trees, diff, inverse, fingerprint, profiles and wire codecs. Pure."""
