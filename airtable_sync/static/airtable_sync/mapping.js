// The mapping's pages: mistakes as one types, the preview's progress, and parts that are fetched after the
// page is shown. Without JavaScript the text is checked when "Preview" is pressed.
"use strict";

(() => {
  const TYPING_PAUSE = 400, PROGRESS_PAUSE = 1000, RELOAD_PAUSE = 1500, TIMEOUT = 20000;
  const MAX_LINES = 3000; // with a number beside them

  async function fetchText(url, options = {}) {
    const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT), ...options });
    if (response.redirected) throw new Error("you are logged out; reload to log in");
    if (!response.ok) throw new Error(response.status === 413 ? "the text is too large" : `status ${response.status}`);
    return response.text();
  }

  function parsed(html) {
    return [...new DOMParser().parseFromString(html, "text/html").body.childNodes];
  }

  // A version was published, and this process does not use it yet.
  if (document.querySelector("[data-reload]")) setTimeout(() => location.reload(), RELOAD_PAUSE);

  const problems = document.getElementById("problems");
  if (problems) {
    fetchText(problems.dataset.fetch).then((html) => problems.replaceChildren(...parsed(html))).catch(() => {});
  }

  // --- The preview, while a process works on it
  const draft = document.getElementById("draft");

  async function updateDraft() {
    try {
      const nodes = parsed(await fetchText(draft.dataset.fetch));
      if (!nodes.some((each) => each.id === "preview")) {
        location.assign(new URL("../", location.href)); // it was published
        return;
      }
      draft.replaceChildren(...nodes);
    } catch {
      // The next try may succeed.
    }
    followDraft();
  }

  function followDraft() {
    if (draft && draft.querySelector("[data-working]")) setTimeout(updateDraft, PROGRESS_PAUSE);
  }

  followDraft();

  // --- The editor
  const form = document.getElementById("editor");
  if (!form) return;
  const text = form.querySelector("textarea");
  const gutter = form.querySelector(".gutter");
  const list = document.getElementById("mistakes");
  let timer = 0;
  let latest = 0;

  function showLines(wrong) {
    const lines = text.value.split("\n").length;
    const count = lines <= MAX_LINES ? lines : 0;
    gutter.replaceChildren(...Array.from({ length: count }, (_, index) => {
      const line = document.createElement("span");
      line.textContent = String(index + 1);
      line.classList.toggle("wrong", wrong.has(index + 1));
      return line;
    }));
    gutter.scrollTop = text.scrollTop;
  }

  function goTo(line) {
    const lines = text.value.split("\n");
    const start = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    text.focus();
    text.setSelectionRange(start, start + (lines[line - 1] || "").length);
    text.scrollTop = (line - 4) * (text.scrollHeight / lines.length);
  }

  function show(mistakes) {
    showLines(new Set(mistakes.map((each) => each.line)));
    if (!mistakes.length) {
      const fine = document.createElement("p");
      fine.className = "fits";
      fine.textContent = "No mistakes.";
      list.replaceChildren(fine);
      return;
    }
    const items = document.createElement("ul");
    for (const each of mistakes) {
      const item = document.createElement("li");
      item.className = "error-text";
      if (each.line) {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = `Line ${each.line}:`;
        button.addEventListener("click", () => goTo(each.line));
        item.append(button, " ");
      }
      item.append(each.message);
      items.append(item);
    }
    list.replaceChildren(items);
  }

  function tooLong() {
    const most = Number(form.dataset.max);
    const size = new URLSearchParams({ text: text.value }).toString().length;
    if (size <= most) return null;
    return { line: null, message: "The text is too large to be edited here: at most 60 KB. For a larger one use manage.py mapping save." };
  }

  async function check() {
    const number = ++latest;
    const long = tooLong();
    if (long) {
      show([long]);
      return;
    }
    try {
      const answer = JSON.parse(await fetchText(form.dataset.check, { method: "POST", body: new URLSearchParams(new FormData(form)) }));
      if (number === latest) show(answer.mistakes);
    } catch (error) {
      if (number === latest) show([{ line: null, message: `The text was not checked: ${error.message}.` }]);
    }
  }

  text.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(check, TYPING_PAUSE);
  });
  text.addEventListener("scroll", () => { gutter.scrollTop = text.scrollTop; });
  form.addEventListener("submit", (event) => {
    const long = tooLong();
    if (!long) return;
    event.preventDefault();
    show([long]);
  });
  showLines(new Set());
  check();
})();
