// Theme button, "/" for the search, arrows in the tree, jobs kept fresh. Pages work without it.
const root = document.documentElement;

document.getElementById("theme").addEventListener("click", () => {
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try { localStorage.setItem("theme", root.dataset.theme); } catch { /* not kept */ }
});

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea");
  if (event.key === "/" && !typing) {
    event.preventDefault();
    document.getElementById("q")?.focus();
  }
});

const tree = document.getElementById("tree");
if (tree) {
  tree.scrollLeft = tree.scrollWidth;
  for (const one of tree.querySelectorAll("[aria-current], [aria-expanded]")) {
    const list = one.closest("ul");
    list.scrollTop = one.offsetTop - list.offsetTop - list.clientHeight / 2;
  }
  const marked = "a[aria-current], a[aria-expanded]";
  tree.addEventListener("keydown", (event) => {
    const here = event.target.closest("ul a");
    if (here?.closest("ul").parentElement !== tree) return; // not the list beside the columns
    const item = here.closest("li");
    const column = here.closest("ul");
    const beside = (list) => list?.matches("ul") && (list.querySelector(marked) ?? list.querySelector("a"));
    const open = here.matches(marked);
    const next = {
      ArrowUp: () => item.previousElementSibling?.querySelector("a"),
      ArrowDown: () => item.nextElementSibling?.querySelector("a"),
      ArrowLeft: () => beside(column.previousElementSibling),
      ArrowRight: () => (open ? beside(column.nextElementSibling) : (here.click(), null)),
    }[event.key]?.();
    if (next) next.focus();
    if (event.key.startsWith("Arrow")) event.preventDefault();
  });
}

const jobs = document.getElementById("jobs");
if (jobs) {
  setInterval(async () => {
    if (document.hidden) return;
    const answer = await fetch(location.href).catch(() => null);
    if (!answer?.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("jobs");
    if (fresh && fresh.innerHTML !== jobs.innerHTML) jobs.replaceChildren(...fresh.childNodes);
  }, 2000);
}
