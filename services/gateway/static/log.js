// Logs: a pane with data-log is filled from there, and goes on as the log grows.
"use strict";

(() => {
  const RETRY_MS = 3000;
  const CHARS_MAX = 400000;
  const readers = new Map();

  async function follow(pane) {
    const control = new AbortController();
    readers.set(pane, control);
    pane.textContent = "";
    try {
      const query = pane.dataset.follow === "true" ? "?follow=true" : "";
      const answer = await fetch(pane.dataset.log + query, {
        signal: control.signal,
        headers: { Accept: "text/plain" },
      });
      if (!answer.ok) return void (pane.textContent = (await answer.json()).detail);
      const pieces = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await pieces.read();
        if (done) break;
        const atEnd = pane.scrollHeight - pane.scrollTop - pane.clientHeight < 40;
        pane.append(value);
        if (pane.textContent.length > CHARS_MAX) {
          pane.textContent = pane.textContent.slice(-CHARS_MAX / 2);
        }
        if (atEnd) pane.scrollTop = pane.scrollHeight;
      }
    } catch (error) {
      // The connection broke: whoever still looks is shown the log anew, from its start.
      if (error.name === "AbortError" || !pane.isConnected) return;
      setTimeout(() => pane.isConnected && follow(pane), RETRY_MS);
    }
  }

  function stop(root) {
    for (const pane of root.querySelectorAll("[data-log]")) {
      readers.get(pane)?.abort();
      readers.delete(pane);
    }
  }

  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.addEventListener("close", () => stop(dialog));
  }
  document.body.addEventListener("htmx:load", (event) => {
    event.detail.elt.querySelectorAll("[data-log]").forEach((pane) => {
      if (!readers.has(pane)) follow(pane);
    });
  });
})();
