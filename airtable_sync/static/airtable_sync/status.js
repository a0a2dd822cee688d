// Updates the status page while it is visible: fetches its parts every few seconds and replaces those
// that changed. Without JavaScript the page shows the state of when it was loaded.
"use strict";

(() => {
  const INTERVAL = 5000, INTERVAL_WHILE_RUNNING = 1000, AFTER_LOAD = 10000, TIMEOUT = 8000;
  const live = document.getElementById("live");
  const updated = document.querySelector("[data-updated]");
  const loadedAt = Date.now();
  let timer = 0;
  let isFetching = false;
  let lostFocusId = ""; // of an element that had the focus and is gone, as a button during a run
  let pressed = null; // the element under the pressed pointer: replacing its part would lose the click

  live.addEventListener("pointerdown", (event) => { pressed = event.target; });
  for (const end of ["pointerup", "pointercancel"]) {
    document.addEventListener(end, () => setTimeout(() => { pressed = null; })); // after the click event
  }

  const isOpen = new Map(); // of <details>, by id
  live.addEventListener("toggle", (event) => isOpen.set(event.target.id, event.target.open), true);

  function replace(part, found) {
    const html = found.innerHTML.replace(/name="csrfmiddlewaretoken" value="[^"]*"/g, "");
    if (part.dataset.shown === html && part.className === found.className) return;
    if (part.contains(pressed) || isSelectedIn(part)) return; // a later update replaces it
    const focusedId = part.contains(document.activeElement) ? document.activeElement.id : "";
    for (const details of found.querySelectorAll("details[id]")) {
      if (isOpen.has(details.id)) details.open = isOpen.get(details.id);
    }
    const scrolled = [...part.querySelectorAll(".scroll")].map((each) => [each.scrollLeft, each.scrollTop]);
    part.replaceChildren(...found.childNodes);
    part.className = found.className;
    part.toggleAttribute("data-running", found.hasAttribute("data-running"));
    part.dataset.shown = html;
    part.querySelectorAll(".scroll").forEach((each, index) => {
      if (scrolled[index]) [each.scrollLeft, each.scrollTop] = scrolled[index];
    });
    restoreFocus(focusedId);
  }

  function isSelectedIn(part) { // replacing it would end the user's selection
    const selection = document.getSelection();
    return !selection.isCollapsed && part.contains(selection.anchorNode);
  }

  // What one reads stays in its place, whatever the parts above it become (with overflow-anchor: none:
  // the browser's own way loses its anchor when the part is replaced).
  function keepPlace(change) {
    const parts = [...live.querySelectorAll("[data-part]")].filter((each) => each.offsetHeight > 0);
    const topOf = (each) => each.getBoundingClientRect().top;
    const isTitleVisible = (each) => topOf(each) >= 0 && topOf(each) < window.innerHeight;
    const read = window.scrollY > 0 && (
      parts.find(isTitleVisible) || parts.find((each) => each.getBoundingClientRect().bottom > 0)
    );
    const top = read ? topOf(read) : 0;
    change();
    if (read) window.scrollBy({ top: topOf(read) - top, behavior: "instant" });
  }

  function restoreFocus(focusedId) {
    if (focusedId) lostFocusId = focusedId;
    if (document.activeElement !== document.body) lostFocusId = ""; // the user has moved the focus
    const element = lostFocusId && document.getElementById(lostFocusId);
    if (!element) return;
    element.focus({ preventScroll: true });
    lostFocusId = "";
  }

  async function update() {
    if (isFetching || document.hidden) return;
    isFetching = true;
    try {
      const response = await fetch(live.dataset.live, { signal: AbortSignal.timeout(TIMEOUT) });
      if (response.redirected || response.status === 403) {
        updated.textContent = "You are logged out: reload to log in";
        return;
      }
      if (!response.ok) throw new Error(String(response.status));
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      keepPlace(() => {
        for (const found of page.querySelectorAll("[data-part]")) {
          const part = document.getElementById(found.id);
          if (part) replace(part, found);
        }
      });
      updated.textContent = `As of ${new Date().toISOString().slice(11, 19)} UTC`;
      updated.classList.remove("error-text");
    } catch {
      updated.textContent = "Not up to date: the server does not answer";
      updated.classList.add("error-text");
    } finally {
      isFetching = false;
      schedule();
    }
  }

  function schedule() {
    clearTimeout(timer);
    const isSoon = live.querySelector("[data-running]") || Date.now() - loadedAt < AFTER_LOAD;
    if (!document.hidden) timer = setTimeout(update, isSoon ? INTERVAL_WHILE_RUNNING : INTERVAL);
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : update()));
  schedule();
})();
