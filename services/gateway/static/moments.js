// Moments: the server writes them in UTC, here they follow the reader's clock.
"use strict";

(() => {
  const locale = document.documentElement.lang;
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto", style: "narrow" });
  const absolute = new Intl.DateTimeFormat(locale, { dateStyle: "short", timeStyle: "medium" });
  const clock = new Intl.DateTimeFormat(locale, { timeStyle: "short" });
  const dated = new Intl.DateTimeFormat(locale, { dateStyle: "short", timeStyle: "short" });
  const STEPS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

  function showMoments(root) {
    for (const element of root.querySelectorAll("time[datetime]")) {
      const moment = new Date(element.dateTime);
      if (Number.isNaN(moment.getTime())) continue;
      element.title = absolute.format(moment);
      const seconds = Math.round((moment - Date.now()) / 1000);
      const [unit, size] = STEPS.find(([, length]) => Math.abs(seconds) >= length) ?? STEPS[3];
      const isToday = moment.toDateString() === new Date().toDateString();
      element.textContent = element.dataset.form === "at" ? element.title
        : element.dataset.form === "clock" ? (isToday ? clock : dated).format(moment)
          : relative.format(Math.trunc(seconds / size), unit);
    }
  }

  globalThis.showMoments = showMoments;
  document.body.addEventListener("htmx:load", (event) => showMoments(event.detail.elt));
  setInterval(() => showMoments(document), 10000);
})();
