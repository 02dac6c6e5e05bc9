"""``python -m gradscope`` is ``gradscope``."""

from gradscope.cli import main

main(prog_name="gradscope")
