"""The calls of SecureVision (``cam_vision``) over Keepwatch's core.

Module for module the names are those of ``cam_vision``: put
``keepwatch.compat.securevision.`` in the place of ``cam_vision.`` in an import. What is different
on purpose is in docs/COMPAT.md.

=========================  ====================================================================
``config``                 the settings, from the ``SECUREVISION__`` variables
``types``                  frames, boxes, detections, events
``tracking``               overlap of boxes and the tracker (needs a build with cameras)
``pipeline``               ``base``, ``confirm`` (K frames in a row; needs one too),
                           ``temporal_sink`` (once in a while for each person and plate)
``events``                 the event store, its sink, and the WebSocket clients
``face``                   the gallery of faces, and enrolling into it
``plates``                 the lists of plates, and the cleaning of what was read
=========================  ====================================================================
"""
