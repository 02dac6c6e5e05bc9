"""Event files: bytes in, bytes out, without TensorFlow.

`gradscope.events.writer` writes samples, `gradscope.events.reader` reads them back as a `gradscope.run.Run`, and
`gradscope.events.discovery` finds the directories that hold runs. Nothing is imported here, so that each half pays
only for itself.
"""
