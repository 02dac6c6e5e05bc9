"""What to change, as ready Keras code for the layer that is ill: one function per remedy, one file per theme.

Rules call them as ``remedies.initialise(layers)``. What a remedy rests on, it says in its ``reason``; where it does not
help or is the wrong end to begin at, it says that too.
"""

from gradscope.diagnosis.remedies.architecture import (
    normalise,
    normalise_batches,
    normalise_layers,
    replace_activation,
)
from gradscope.diagnosis.remedies.batch_statistics import (
    lower_momentum,
    normalise_features,
    replace_batch_norm,
    train_mode,
    usual_epsilon,
)
from gradscope.diagnosis.remedies.connection import (
    freeze,
    judge_output,
    load_or_train,
    pass_gradient,
    train_all_variables,
    unfreeze_head,
)
from gradscope.diagnosis.remedies.data import (
    batch_size,
    check_input,
    check_targets,
    input_is_off,
    scale_alike,
    scale_columns,
    scale_input,
    scale_input_if_off,
    shuffle_examples,
)
from gradscope.diagnosis.remedies.depth import keep_signal
from gradscope.diagnosis.remedies.initial_weights import initialise, initialise_recurrent
from gradscope.diagnosis.remedies.loss import (
    absolute_error,
    align_shapes,
    check_sign,
    compare_shares,
    fix_labels,
    guard_operations,
    output_activation,
    scale_loss,
    scale_targets,
    set_from_logits,
    stable_loss,
    standardise_targets,
    tell_apart,
    weigh_rare,
)
from gradscope.diagnosis.remedies.optimizer import (
    accumulate_less,
    clip_gradients,
    loosen_clipping,
    lower_epsilon,
    lower_high_momentum,
    use_optimizer,
    weaken_dropout,
    weaken_penalty,
)
from gradscope.diagnosis.remedies.precision import keep_float32_optimizer, keep_float32_variables
from gradscope.diagnosis.remedies.sequences import reach_further_back, remember
from gradscope.diagnosis.remedies.step_size import (
    decay_later,
    decay_learning_rate,
    lower_learning_rate,
    raise_learning_rate,
    set_learning_rate,
    warm_up,
)

__all__ = [
    "absolute_error",
    "accumulate_less",
    "align_shapes",
    "batch_size",
    "check_input",
    "check_sign",
    "check_targets",
    "clip_gradients",
    "compare_shares",
    "decay_later",
    "decay_learning_rate",
    "fix_labels",
    "freeze",
    "guard_operations",
    "initialise",
    "initialise_recurrent",
    "input_is_off",
    "judge_output",
    "keep_float32_optimizer",
    "keep_float32_variables",
    "keep_signal",
    "load_or_train",
    "loosen_clipping",
    "lower_epsilon",
    "lower_high_momentum",
    "lower_learning_rate",
    "lower_momentum",
    "normalise",
    "normalise_batches",
    "normalise_features",
    "normalise_layers",
    "output_activation",
    "pass_gradient",
    "raise_learning_rate",
    "reach_further_back",
    "remember",
    "replace_activation",
    "replace_batch_norm",
    "scale_alike",
    "scale_columns",
    "scale_input",
    "scale_input_if_off",
    "scale_loss",
    "scale_targets",
    "set_from_logits",
    "set_learning_rate",
    "shuffle_examples",
    "stable_loss",
    "standardise_targets",
    "tell_apart",
    "train_all_variables",
    "train_mode",
    "unfreeze_head",
    "use_optimizer",
    "usual_epsilon",
    "warm_up",
    "weaken_dropout",
    "weaken_penalty",
    "weigh_rare",
]
