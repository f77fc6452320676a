// The console's own script. Everything it does is an extra: each page also works without it.
// Live updates are read here and not with htmx's SSE extension: the packaged one is htmx 1's and
// calls a function that htmx 2 does not have.
"use strict";

(() => {
  const body = document.body;
  const REFRESH_EVERY_MS = 1000;
  const RETRY_MS = 3000;
  const TOAST_MS = 6000;

  // --- Dialogs: what is swapped into one opens it; closing gives the focus back, by id, as the
  // row that it was opened from may have been drawn anew since. ---
  function openFilled(dialog) {
    if (dialog.open || !dialog.firstElementChild) return;
    dialog.dataset.opener = document.activeElement.id;
    dialog.showModal();
    dialog.querySelector("[autofocus]")?.focus();
  }

  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.addEventListener("close", () => {
      dialog.replaceChildren();
      document.getElementById(dialog.dataset.opener)?.focus();
    });
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog && dialog.classList.contains("drawer")) dialog.close();
    });
  }

  body.addEventListener("click", (event) => {
    const dialog = event.target.closest("[data-close]")?.closest("dialog");
    if (dialog) event.preventDefault();
    dialog?.close();
  });

  body.addEventListener("close-dialog", () => document.getElementById("dialog").close());

  // --- Toasts: the server says them in HX-Trigger. ---
  function toast(text) {
    const line = document.createElement("p");
    line.textContent = text;
    document.getElementById("toasts").append(line);
    setTimeout(() => line.remove(), TOAST_MS);
  }
  body.addEventListener("toast", (event) => toast(event.detail.value));

  // --- An answer that is no page, say of a gateway that is still starting, replaces nothing. ---
  body.addEventListener("htmx:beforeSwap", ({ detail }) => {
    const { target, xhr } = detail;
    if (!detail.shouldSwap || xhr.getResponseHeader("Content-Type")?.startsWith("text/html")) return;
    detail.shouldSwap = false;
    if (target.dataset.refresh) againLater(target);
    else toast(xhr.responseText.startsWith("{") ? JSON.parse(xhr.responseText).detail : xhr.statusText);
  });

  // --- Live: one stream a tab. A `row` replaces the row of its id, `changed` re-reads a part. ---
  const refreshed = new Map();
  const asked = new Set();
  const reading = new Set();
  const owed = new Set();

  // A part is not read again while it is read or asked for something else, say by a search: the
  // answer replaces the element that asked, and what that had still to ask is lost. So it is owed.
  const isBusy = (id) => asked.has(id) || reading.has(id);
  body.addEventListener("htmx:beforeRequest", (event) => {
    const { elt, target } = event.detail;
    if (!target.dataset.refresh) return;
    if (elt !== target) {
      asked.add(target.id);
      htmx.trigger(target, "htmx:abort");
    } else if (!isBusy(target.id)) reading.add(target.id);
    else {
      owed.add(target.id);
      event.preventDefault();
    }
  });
  body.addEventListener("htmx:afterRequest", ({ detail: { requestConfig, target } }) => {
    (requestConfig.elt === target ? reading : asked).delete(target.id);
    if (!isBusy(target.id) && owed.delete(target.id)) refreshSoon(target);
  });

  // At once when nothing was read lately, else once when it is time again. Swapped parts keep
  // their id, so this is kept by id.
  function refreshSoon({ id }) {
    const last = refreshed.get(id) ?? { at: 0, isDue: false };
    if (last.isDue) return;
    last.isDue = true;
    refreshed.set(id, last);
    setTimeout(() => {
      refreshed.set(id, { at: Date.now(), isDue: false });
      const element = document.getElementById(id);
      if (isBusy(id)) owed.add(id);
      else if (element) htmx.trigger(element, "refresh");
    }, Math.max(0, last.at + REFRESH_EVERY_MS - Date.now()));
  }

  const againLater = (part) => setTimeout(() => refreshSoon(part), RETRY_MS);
  const parts = (selector) => document.querySelectorAll(selector).forEach(refreshSoon);
  const refresh = (topic) => parts(`[data-refresh="${topic}"]`);

  function replaceRow(fresh) {
    const old = document.getElementById(fresh.id);
    if (!old) return false;
    const part = old.closest("[data-refresh]");
    if (part && isBusy(part.id)) owed.add(part.id);
    const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
    old.replaceWith(fresh);
    htmx.process(fresh);
    showMoments(fresh);
    if (focused) document.getElementById(focused)?.focus();
    return !announce(fresh);
  }

  // A row's new status is said, whichever way the page learned of it.
  const statuses = new Map();

  function announce(row) {
    const before = statuses.get(row.id);
    statuses.set(row.id, row.dataset.status);
    if (!before || before === row.dataset.status) return false;
    row.classList.add("fresh");
    const words = [...row.querySelectorAll(".row-name, .chip")].map((one) => one.textContent);
    document.getElementById("said").textContent = words.join(": ");
    return true;
  }

  function setLive(state) {
    body.dataset.live = state;
    const note = document.getElementById("lost-note");
    note.hidden = state !== "lost";
    note.lastElementChild.textContent = body.dataset.lost;
  }

  let stream = null;

  function listen(url) {
    stream = new EventSource(url);
    stream.onopen = () => {
      // What happened while nobody listened is caught up by reading the page's parts again.
      if (body.dataset.live === "lost") parts("[data-refresh]");
      setLive("on");
    };
    stream.onerror = () => {
      setLive("lost");
      if (stream.readyState !== EventSource.CLOSED) return;
      parts("[data-refresh]");  // a log-in that is over leads to the log-in page
      setTimeout(() => listen(url), RETRY_MS);
    };
    stream.addEventListener("row", (event) => {
      const box = document.createElement("template");
      box.innerHTML = event.data;
      const fresh = box.content.firstElementChild;
      if (!replaceRow(fresh)) refresh(`${fresh.id.split("-")[0]}s`);
      const state = document.getElementById("state");
      if (state && fresh.id === `session-${state.dataset.session}`) refreshSoon(state);
    });
    stream.addEventListener("changed", (event) => refresh(event.data));
  }

  addEventListener("pagehide", () => stream?.close());

  // --- Start, and again for every part that htmx brings. ---
  body.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.tagName === "DIALOG") openFilled(event.target);
  });
  body.addEventListener("htmx:load", (event) => {
    event.detail.elt.querySelectorAll("tr[data-status]").forEach(announce);
  });
  body.addEventListener("sessions-changed", () => refresh("sessions"));
  body.addEventListener("htmx:sendError", ({ detail: { target } }) => {
    setLive("lost");
    if (target.dataset.refresh) againLater(target);
  });
  body.addEventListener("htmx:afterOnLoad", () => {
    if (stream?.readyState === EventSource.OPEN) setLive("on");
  });

  if (body.dataset.stream) listen(body.dataset.stream);
})();
