// Light or dark: what the user chose, else what TensorBoard shows around us, else what the system prefers.

/** Follow the theme on `root`; `changed()` is called when it turned. Returns a function that goes to the next choice. */
export function followTheme(root, changed) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  const apply = () => {
    const dark = chosen ?? (hostBody()?.classList.contains("dark-mode") || (!isHosted() && system.matches));
    const theme = dark ? "dark" : "light";
    if (root.dataset.theme === theme) return;
    root.dataset.theme = theme;
    document.documentElement.style.colorScheme = theme;
    changed();
  };
  system.addEventListener("change", apply);
  const body = hostBody();
  if (body) new MutationObserver(apply).observe(body, { attributes: true, attributeFilter: ["class"] });
  apply();
  return () => {
    chosen = root.dataset.theme !== "dark";
    apply();
  };
}

/** The value of a CSS variable of the theme, such as `--text`. */
export function color(root, name) {
  return getComputedStyle(root).getPropertyValue(name).trim();
}

function isHosted() {
  return hostBody() !== null;
}

/** The body of TensorBoard's page; null where we are alone or may not look. */
function hostBody() {
  try {
    const host = globalThis.parent !== globalThis ? globalThis.parent.document : null;
    return host?.querySelector("tb-webapp") ? host.body : null;
  } catch {
    return null;
  }
}
