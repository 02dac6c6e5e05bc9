"""How loss, output and targets of one term can contradict each other: one module for each two of the three.

`gradscope.diagnosis.rules.mismatched_loss` is made of them and says which comes first.
"""

from gradscope.diagnosis.mismatch.comparison import Mismatch
from gradscope.diagnosis.mismatch.loss_and_output import LossAndOutput
from gradscope.diagnosis.mismatch.loss_and_targets import LossAndTargets
from gradscope.diagnosis.mismatch.output_and_targets import OutputAndTargets

__all__ = ["LossAndOutput", "LossAndTargets", "Mismatch", "OutputAndTargets"]
