"""Rule omitted-variable."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import Layer, LossTrend
from gradscope.diagnosis.evidence.fresh_start import is_fresh, is_still
from gradscope.diagnosis.rule import NotJudged, Rule, limit
from gradscope.diagnosis.verdict import Finding, Measurement, Severity
from gradscope.diagnosis.wording import among
from gradscope.run import Run

_HIDES = frozenset({"collapsed-representation", "constant-output", "loss-plateau", "vanishing-gradient"})


@dataclass(frozen=True)
class OmittedVariable(Rule):
    """Layers that were never trained, and are not: no optimizer is handed their variables, or they are frozen.

    ## What it detects
    A loop of one's own that computes the gradients of some of the model's variables only: the head's but not the
    encoder's; layers that became trainable after ``compile()``, which had settled what is trained; variables of
    TensorFlow's in layers of one's own, of which Keras 3 keeps no account; and layers that were frozen before they were
    trained, as where pretrained weights were never loaded. What was dropped for want of a gradient is
    disconnected-variable's.

    ## Why it matters
    The layers left out keep their initial weights, and nothing says so: the loss may even fall, as what is trained
    makes the best of random features.

    ## Evidence
    The model's list of trainable variables against those that any optimizer was handed in a sampled step. Leaving
    layers out is also a way to freeze them: one whose biases are not zero was trained before, and is a note, or a
    warning where the loss is known to have fallen by less than half of a constant answer's. An untrained one that is
    left out is an error, and a warning where the loss is down to a tenth; so is what became trainable since
    ``compile()``. A ``tf.Variable`` of several entries that a layer keeps as an attribute, and no optimizer was handed,
    is a note where the loss is solved without it, a warning or an error by what is left. One that is set not trainable
    although its biases are still zero is an error where the loss stands still after 100 steps, and a warning where it
    has not fallen by half; else random features are enough.

    ## Example
    >>> from gradscope.diagnosis.engine import diagnose
    >>> from gradscope.diagnosis.example import toy_run
    >>> ill = toy_run(omitted=("hidden_1",), loss=1.0)
    >>> [f.sentence for f in diagnose(ill, [OmittedVariable()]).findings()]
    ['hidden_1 is trainable, but no optimizer is handed its variables']
    >>> list(diagnose(toy_run(), [OmittedVariable()]).findings())
    []

    ## Remedies
    Hand the optimizer the gradients of all of ``model.trainable_variables``; say so where a layer is to stay as it is;
    ``compile()`` again; ``add_weight``.

    ## References
    Yosinski et al. 2014, How transferable are features in deep neural networks? (random lower layers against trained).
    """

    name: ClassVar[str] = "omitted-variable"
    max_omitted_count: float = limit(0, "variables", "what is trainable is there to be trained")
    max_frozen_loss: float = limit(0.7, "1", "of a constant answer's loss: a head on layers that know nothing")
    max_untracked_loss: float = limit(
        0.05, "1", "of a constant answer's loss or the start: more might be learnt with them"
    )
    error_untracked_loss: float = limit(0.2, "1", "likewise: it is far from solved without them")
    error_steps: float = limit(100, "steps", "earlier no learning is to be expected")

    def check(self, run: Run, layers: tuple[Layer, ...], loss_trend: LossTrend) -> Iterable[Finding]:
        """One finding for the untrained layers, one for those that were trained before."""
        handed = set(run.names("gradient"))
        trainable = [variable for variable in run.model.variables if variable.trainable]
        if not any(variable.optimized for variable in trainable):
            raise NotJudged("which variables are trained is unknown; record with gradscope.Recorder for a model card")
        omitted = {v.layer for v in trainable if not v.optimized and v.name not in handed}
        kept = {v.layer for v in trainable if v.optimized or v.name in handed}
        since = _trainable_since_compile(run)
        late = [layer for layer in layers if layer.name in (omitted - kept) & since]
        left_out = [layer for layer in layers if layer.name in omitted - kept - since]
        fresh = [layer for layer in left_out if is_fresh(run, layer.name) is not False]
        known = [layer for layer in left_out if layer not in fresh]
        if late:
            severity = Severity.WARNING if loss_trend.fallen else Severity.ERROR
            yield self._finding(late, run, severity, since_compile=True)
        if len(fresh) > self.max_omitted_count:
            yield self._finding(fresh, run, Severity.WARNING if loss_trend.fallen else Severity.ERROR)
        if len(known) > self.max_omitted_count:
            # To train a new head alone is usual, and enough where it learns.
            grave = loss_trend.knows_constant and loss_trend.slow
            yield self._finding(known, run, Severity.WARNING if grave else Severity.NOTE)
        if names := list(run.settings.get("untracked_variables") or ()):
            yield self._untracked(names, run, loss_trend)
        trained = {variable.layer for variable in trainable}
        frozen = [layer for layer in layers if layer.frozen and layer.name not in trained and is_still(run, layer.name)]
        if len(frozen) > self.max_omitted_count and loss_trend.slow:
            far = loss_trend.knows_constant and loss_trend.remaining > self.max_frozen_loss
            grave = (loss_trend.at_rest or far) and loss_trend.reach >= self.error_steps
            yield self._frozen(frozen, run, Severity.ERROR if grave else Severity.WARNING)

    def _finding(self, found: list[Layer], run: Run, severity: Severity, *, since_compile: bool = False) -> Finding:
        names = [layer.name for layer in found]
        is_are, its = ("is", "its") if len(names) == 1 else ("are", "their")
        since = " since compile()" if since_compile else ""
        otherwise = (remedies.train_all_variables(), remedies.freeze(found))
        return Finding(
            rule=self.name,
            title="variables left out",
            sentence=f"{among(names)} {is_are} trainable{since}, but no optimizer is handed {its} variables",
            severity=severity,
            layers=tuple(names),
            first_step=int(run.steps[0]),
            last_step=int(run.steps[-1]),
            measurements=tuple(
                Measurement("trainable variables left out", count, self.max_omitted_count, "variables", name, "none")
                for name in names
                for count in [sum(v.layer == name and v.trainable for v in run.model.variables)]
            ),
            remedies=(remedies.compile_again(),) if since_compile else otherwise,
            explains=_HIDES if severity > Severity.NOTE else frozenset(),
        )

    def _untracked(self, names: list[str], run: Run, trend: LossTrend) -> Finding:
        is_are, it, one = ("is", "it", "a tf.Variable") if len(names) == 1 else ("are", "them", "tf.Variables")
        severity = self._lost(trend)
        return Finding(
            rule=self.name,
            title="variables unknown to Keras",
            sentence=f"{among(names)} {is_are} {one} that Keras does not know of: nothing trains {it}",
            severity=severity,
            layers=tuple(dict.fromkeys(name.rpartition("/")[0] for name in names if "/" in name)),
            first_step=int(run.steps[0]),
            last_step=int(run.steps[-1]),
            measurements=(
                Measurement("variables unknown to Keras", len(names), self.max_omitted_count, "variables", "", "none"),
            ),
            remedies=(remedies.add_weights(names),),
            variant="untracked",
            explains=_HIDES if severity > Severity.NOTE else frozenset(),
        )

    def _lost(self, trend: LossTrend) -> Severity:
        """How grave it is that variables are not trained; a note where the loss is solved, or unknown."""
        left = trend.remaining if trend.knows_constant else trend.change
        # What was good from the start rests as well.
        if left > self.error_untracked_loss or (trend.at_rest and not left <= self.max_untracked_loss):
            return Severity.ERROR
        return Severity.WARNING if left > self.max_untracked_loss else Severity.NOTE

    def _frozen(self, found: list[Layer], run: Run, severity: Severity) -> Finding:
        names = [layer.name for layer in found]
        is_are, its = ("is", "its") if len(names) == 1 else ("are", "their")
        # Of a layer without biases, an embedding, it is the vectors.
        biased = {variable.layer for variable in run.model.variables if variable.role == "bias"}
        new = "biases are still zero" if biased.issuperset(names) else "numbers are still as they were drawn"
        return Finding(
            rule=self.name,
            title="frozen before trained",
            sentence=f"{among(names)} {is_are} frozen, but {its} {new}: nothing was ever learnt there",
            severity=severity,
            layers=tuple(names),
            first_step=int(run.steps[0]),
            last_step=int(run.steps[-1]),
            measurements=tuple(
                Measurement("frozen layers as they were initialised", 1, self.max_omitted_count, "layers", name, "none")
                for name in names
            ),
            remedies=(remedies.load_or_train(found),),
            variant="frozen",
            explains=frozenset({"collapsed-representation", "constant-output", "loss-plateau"}),
        )


def _trainable_since_compile(run: Run) -> set[str]:
    """The layers of variables that became trainable when the step had been compiled without them."""
    names = set(run.settings.get("trainable_since_compile") or ())
    return {variable.layer for variable in run.model.variables if variable.name in names}
