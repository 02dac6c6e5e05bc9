"""How the steps of a run can be too long, and what harm shows it: one module for each way.

`gradscope.diagnosis.rules.learning_rate_too_high` is made of them and says which comes first.
"""

from gradscope.diagnosis.long_steps.growing_rate import GrowingRate
from gradscope.diagnosis.long_steps.killed_units import KilledUnits
from gradscope.diagnosis.long_steps.overshooting import Overshooting
from gradscope.diagnosis.long_steps.runaway import Runaway

__all__ = ["GrowingRate", "KilledUnits", "Overshooting", "Runaway"]
