"""Devices and how Minka speaks to them: one folder for each kind of session.

A kind offers:

* ``target.py``: a ``DeviceTarget``, with all that is needed to reach one device, made from the network files. It is
  data, so planning and doors may hold it.
* ``codec.py``: how its answers become a device tree, and how edits of a tree become its requests. It is pure.
* ``devices.py``: the adapter (``DevicesOf``) that opens its sessions, for one holder at a time.
* a session with those protocols of ``controller.drivers.protocols`` that its devices can keep: reading and editing are
  ``DeviceSession``; confirmed commits, locks, notifications, files and equipment are offered or not. A caller asks for
  what it needs, never for the kind.

``registry.py`` says which kind of target a device of the network files has, ``devices.py`` gives each target to the
adapter of its type, and ``fake.py`` is a device in memory that offers what a test asks for. Kinds do not know each
other; what they share stands beside them: addresses, certificates, decoding off the loop. Only ``bootstrap`` and the
rehearsal reach the half that speaks; all others hold targets, protocols and codecs.
"""
