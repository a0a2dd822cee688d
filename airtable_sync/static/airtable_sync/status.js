// Keeps the status page up to date while it is looked at: asks for its parts every few seconds and
// puts those in place that have changed. Without it, the page is as of when it was loaded.
"use strict";

(() => {
  const EVERY = 5000, WHILE_RUNNING = 1000, AFTER_LOAD = 10000, LONGEST = 8000;
  const live = document.getElementById("live");
  const updated = document.querySelector("[data-updated]");
  const loadedAt = Date.now();
  let timer = 0;
  let asking = false;
  let lost = ""; // the id of what had the focus when it went away, as a button does during a run
  let pressed = null; // what the pointer is on: its part stays, or the click would be lost

  live.addEventListener("pointerdown", (event) => { pressed = event.target; });
  for (const end of ["pointerup", "pointercancel"]) {
    document.addEventListener(end, () => setTimeout(() => { pressed = null; })); // the click comes first
  }

  const isOpen = new Map(); // of <details>, by id
  live.addEventListener("toggle", (event) => isOpen.set(event.target.id, event.target.open), true);

  function replace(part, found) {
    const text = found.innerHTML.replace(/name="csrfmiddlewaretoken" value="[^"]*"/g, "");
    if (part.dataset.shown === text && part.className === found.className) return;
    if (part.contains(pressed)) return; // next time
    const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
    for (const details of found.querySelectorAll("details[id]")) {
      if (isOpen.has(details.id)) details.open = isOpen.get(details.id);
    }
    const scrolled = [...part.querySelectorAll(".scroll")].map((each) => [each.scrollLeft, each.scrollTop]);
    part.replaceChildren(...found.childNodes);
    part.className = found.className;
    part.toggleAttribute("data-running", found.hasAttribute("data-running"));
    part.dataset.shown = text;
    part.querySelectorAll(".scroll").forEach((each, index) => {
      if (scrolled[index]) [each.scrollLeft, each.scrollTop] = scrolled[index];
    });
    refocus(focused);
  }

  function refocus(focused) {
    if (focused) lost = focused;
    if (document.activeElement !== document.body) lost = ""; // somebody has gone on
    const back = lost && document.getElementById(lost);
    if (!back) return;
    back.focus({ preventScroll: true });
    lost = "";
  }

  async function update() {
    if (asking || document.hidden) return;
    asking = true;
    try {
      const response = await fetch(live.dataset.live, { signal: AbortSignal.timeout(LONGEST) });
      if (response.redirected || response.status === 403) {
        updated.textContent = "You are logged out: reload to log in";
        return;
      }
      if (!response.ok) throw new Error(String(response.status));
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      for (const found of page.querySelectorAll("[data-part]")) {
        const part = document.getElementById(found.id);
        if (part) replace(part, found);
      }
      updated.textContent = `As of ${new Date().toISOString().slice(11, 19)} UTC`;
      updated.classList.remove("wrong");
    } catch {
      updated.textContent = "Not up to date: the server does not answer";
      updated.classList.add("wrong");
    } finally {
      asking = false;
      plan();
    }
  }

  function plan() {
    clearTimeout(timer);
    const soon = live.querySelector("[data-running]") || Date.now() - loadedAt < AFTER_LOAD;
    if (!document.hidden) timer = setTimeout(update, soon ? WHILE_RUNNING : EVERY);
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : update()));
  plan();
})();
