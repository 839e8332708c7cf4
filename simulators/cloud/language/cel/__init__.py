"""The Common Expression Language, as far as Kubernetes lets custom resource definitions check objects by it.

Read by `syntax`, checked and made into functions by `program`; `library` has what can be called. Nothing here knows
custom resources.
"""
