// Runs before the first paint, to avoid a flash of the other theme. The choice is light, dark,
// or the system's; it is stored in this browser only.
(() => {
  const KEY = "descent-theme";
  const root = document.documentElement;

  const kept = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // storage may be disabled
    }
  };

  const set = (theme) => {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
  };

  const isDark = () =>
    root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;

  window.descentTheme = {
    isDark,
    toggle() {
      const theme = isDark() ? "light" : "dark";
      set(theme);
      try {
        localStorage.setItem(KEY, theme);
      } catch {
        // the choice then lasts as long as the page
      }
    },
  };
  set(kept());
})();
