// The console's own script. Everything it does is an extra: each page also works without it.
// Live updates are read here and not with htmx's SSE extension: the packaged one is htmx 1's and
// calls a function that htmx 2 does not have.
"use strict";

(() => {
  const body = document.body;
  const REFRESH_EVERY_MS = 1000;
  const TOAST_MS = 6000;
  const LOG_CHARS_MAX = 400000;

  // --- Moments: the server writes them in UTC, here they follow the reader's clock. ---
  const locale = document.documentElement.lang;
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto", style: "narrow" });
  const absolute = new Intl.DateTimeFormat(locale, { dateStyle: "short", timeStyle: "medium" });
  const STEPS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

  function showMoments(root) {
    for (const element of root.querySelectorAll("time[datetime]")) {
      const moment = new Date(element.dateTime);
      if (Number.isNaN(moment.getTime())) continue;
      element.title = absolute.format(moment);
      if (element.dataset.form === "at") {
        element.textContent = absolute.format(moment);
        continue;
      }
      const seconds = Math.round((moment - Date.now()) / 1000);
      const [unit, size] = STEPS.find(([, length]) => Math.abs(seconds) >= length) ?? STEPS[3];
      element.textContent = relative.format(Math.trunc(seconds / size), unit);
    }
  }

  // --- Dialogs: what is swapped into one opens it; closing gives the focus back. ---
  function openFilled(dialog) {
    if (dialog.open || !dialog.firstElementChild) return;
    dialog.showModal();
    dialog.querySelector("[autofocus]")?.focus();
  }

  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.addEventListener("close", () => {
      stopLog(dialog);
      dialog.replaceChildren();
    });
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog && dialog.classList.contains("drawer")) dialog.close();
    });
  }

  body.addEventListener("click", (event) => {
    const dialog = event.target.closest("[data-close]")?.closest("dialog");
    if (!dialog) return;
    event.preventDefault();
    dialog.close();
  });

  body.addEventListener("close-dialog", () => document.getElementById("dialog").close());

  // --- Toasts: the server says them in HX-Trigger. ---
  body.addEventListener("toast", (event) => {
    const line = document.createElement("p");
    line.textContent = event.detail.value;
    document.getElementById("toasts").append(line);
    setTimeout(() => line.remove(), TOAST_MS);
  });

  // --- A log is followed by reading its answer as it grows. ---
  const readers = new Map();

  async function follow(pane) {
    const stop = new AbortController();
    readers.set(pane, stop);
    pane.textContent = "";
    try {
      const query = pane.dataset.follow === "true" ? "?follow=true" : "";
      const answer = await fetch(pane.dataset.log + query, {
        signal: stop.signal,
        headers: { Accept: "text/plain" },
      });
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
      const pieces = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await pieces.read();
        if (done) break;
        const atEnd = pane.scrollHeight - pane.scrollTop - pane.clientHeight < 40;
        pane.append(value);
        if (pane.textContent.length > LOG_CHARS_MAX) {
          pane.textContent = pane.textContent.slice(-LOG_CHARS_MAX / 2);
        }
        if (atEnd) pane.scrollTop = pane.scrollHeight;
      }
    } catch (error) {
      if (error.name !== "AbortError") pane.append(`\n(${error.message})`);
    }
  }

  function stopLog(root) {
    for (const pane of root.querySelectorAll("[data-log]")) {
      readers.get(pane)?.abort();
      readers.delete(pane);
    }
  }

  // --- Live: one stream a tab. A `row` replaces the row of its id, `changed` re-reads a part. ---
  const waiting = new Set();

  function refreshSoon(element) {
    if (waiting.has(element)) return;
    waiting.add(element);
    setTimeout(() => {
      waiting.delete(element);
      if (element.isConnected) htmx.trigger(element, "refresh");
    }, REFRESH_EVERY_MS);
  }

  function refresh(topic) {
    document.querySelectorAll(`[data-refresh="${topic}"]`).forEach(refreshSoon);
  }

  function replaceRow(fresh) {
    const old = document.getElementById(fresh.id);
    if (!old) return false;
    const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
    const moved = old.dataset.status !== fresh.dataset.status;
    old.replaceWith(fresh);
    htmx.process(fresh);
    showMoments(fresh);
    if (focused) document.getElementById(focused)?.focus();
    if (moved) fresh.classList.add("fresh");
    return !moved;
  }

  function setLive(state) {
    body.dataset.live = state;
    const note = document.getElementById("lost-note");
    note.hidden = state !== "lost";
    note.lastElementChild.textContent = body.dataset.lost;
  }

  function listen(url) {
    const stream = new EventSource(url);
    stream.onopen = () => {
      // What happened while nobody listened is caught up by reading the page's parts again.
      if (body.dataset.live === "lost") {
        document.querySelectorAll("[data-refresh]").forEach(refreshSoon);
      }
      setLive("on");
    };
    stream.onerror = () => {
      setLive("lost");
      if (stream.readyState === EventSource.CLOSED) setTimeout(() => listen(url), 3000);
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
    addEventListener("pagehide", () => stream.close(), { once: true });
  }

  // --- Start, and again for every part that htmx brings. ---
  body.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.tagName === "DIALOG") openFilled(event.target);
  });
  body.addEventListener("htmx:load", (event) => {
    showMoments(event.detail.elt);
    event.detail.elt.querySelectorAll("[data-log]").forEach((pane) => {
      if (!readers.has(pane)) follow(pane);
    });
  });
  body.addEventListener("sessions-changed", () => refresh("sessions"));
  body.addEventListener("htmx:sendError", () => setLive("lost"));

  if (body.dataset.stream) listen(body.dataset.stream);
  setInterval(() => showMoments(document), 10000);
})();
