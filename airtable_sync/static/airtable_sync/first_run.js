// The first-run checklist: it is fetched again with what Airtable says of the token and the mapping, and
// has buttons that copy an address. Browsers only allow copying over HTTPS and on this machine.
"use strict";

(() => {
  const TIMEOUT = 30000;

  function showCopyButtons() {
    if (!navigator.clipboard) return;
    for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;
  }

  async function tryAirtable(section) {
    const response = await fetch(section.dataset.try, { signal: AbortSignal.timeout(TIMEOUT) });
    if (response.redirected || !response.ok) return;
    const found = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("first-run");
    if (section.querySelector("li details[open]")) return; // somebody reads the steps of a platform
    replace(section, found);
  }

  // What one reads below it stays in its place. Without `found`, all is done.
  function replace(section, found) {
    const next = section.nextElementSibling;
    const isAbove = section.getBoundingClientRect().bottom < 0;
    const top = next.getBoundingClientRect().top;
    if (found) section.replaceWith(found);
    else section.remove();
    showCopyButtons();
    if (isAbove) window.scrollBy({ top: next.getBoundingClientRect().top - top, behavior: "instant" });
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    button.removeAttribute("aria-label"); // what it says now is its name
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select and copy it";
    }
  });

  showCopyButtons();
  const section = document.querySelector("#first-run[data-try]");
  if (section) tryAirtable(section).catch(() => {});
})();
