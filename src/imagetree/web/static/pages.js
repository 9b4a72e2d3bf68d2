// Theme button, keys, arrows in the tree, Copy, the boxes' switch, live parts. Pages work without it.
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

// Left and right go to the photo, or page of photos, beside this one.
document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (event.target.closest("input, select, textarea, .tree, .nav, .scroll, .chips")) return;
  const way = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
  const beside = way && document.querySelector(`main a[rel="${way}"]`);
  if (beside) { event.preventDefault(); beside.click(); }
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const copied = await navigator.clipboard?.writeText(button.dataset.copy).then(() => true, () => false);
  if (!copied) getSelection().selectAllChildren(button.previousElementSibling); // the rest is Ctrl-C
  button.textContent = copied ? "Copied" : "Selected";
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
});

const boxes = document.getElementById("boxes");
boxes?.addEventListener("click", () => {
  const bare = document.getElementById("canvas").classList.toggle("bare");
  boxes.setAttribute("aria-pressed", String(!bare));
});

// A part with data-live is asked for again so many seconds apart, as long as the page has one.
const live = document.querySelector("[data-live]");
if (live) {
  const timer = setInterval(async () => {
    if (document.hidden || live.contains(document.activeElement)) return;
    const answer = await fetch(location.href).catch(() => null);
    if (!answer?.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById(live.id);
    if (fresh && fresh.innerHTML !== live.innerHTML) live.replaceChildren(...fresh.childNodes);
    if (!fresh?.dataset.live) { clearInterval(timer); location.reload(); }
  }, 1000 * Number(live.dataset.live));
}
