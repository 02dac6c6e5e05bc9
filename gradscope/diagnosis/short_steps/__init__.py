"""How the steps of a run can be too short, or too few, to learn by: one module for each way.

`gradscope.diagnosis.rules.learning_rate_too_low` is made of them and says which comes first.
"""

from gradscope.diagnosis.short_steps.divided_loss import DividedLoss
from gradscope.diagnosis.short_steps.few_updates import FewUpdates
from gradscope.diagnosis.short_steps.left_behind import LeftBehind
from gradscope.diagnosis.short_steps.schedule import Schedule
from gradscope.diagnosis.short_steps.short_distance import ShortDistance

__all__ = ["DividedLoss", "FewUpdates", "LeftBehind", "Schedule", "ShortDistance"]
