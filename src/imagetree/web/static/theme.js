// Runs before the first paint, so that a chosen theme does not flash the other one and what only
// works with scripts (Copy, the boxes' switch) has its room from the beginning.
document.documentElement.classList.add("js");
try {
  const chosen = localStorage.getItem("theme");
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
} catch { /* storage is switched off: the system decides */ }
