"""Reports: a diagnosis as text. Renderers only put into words what the diagnosis says; they never decide."""
