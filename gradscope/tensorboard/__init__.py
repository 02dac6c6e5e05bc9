"""The "Gradient flow" tab of TensorBoard: a thin host of the frontend in `gradscope.reports.html`."""
