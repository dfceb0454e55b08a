// The page of a certificate works without this file: it keeps what somebody is typing when the page gets news.
(function () {
  "use strict";

  // A form that somebody has changed is not replaced; the notice in it says that there is news.
  document.addEventListener("input", function (event) {
    const form = event.target.closest("form[data-keep]");
    if (form) { form.dataset.changed = "yes"; }
  });
  document.addEventListener("htmx:oobBeforeSwap", function (event) {
    const target = event.detail.target;
    const form = target && target.querySelector("form[data-keep][data-changed]");
    if (form) {
      event.detail.shouldSwap = false;
      const notice = form.querySelector("[data-news]");
      if (notice) { notice.hidden = false; }
    }
  });

  // Nobody looks at a page in the background.
  document.addEventListener("htmx:beforeRequest", function (event) {
    if (event.detail.elt.matches("[data-poll]") && document.hidden) { event.preventDefault(); }
  });

  // A link of the summary of errors opens what is folded around its field.
  document.addEventListener("click", function (event) {
    const link = event.target.closest('a[href^="#field-"]');
    const field = link && document.getElementById(link.getAttribute("href").slice(1));
    if (!field) { return; }
    for (let fold = field.closest("details"); fold; fold = fold.parentElement.closest("details")) { fold.open = true; }
    event.preventDefault();
    field.scrollIntoView({ block: "center" });
    field.focus();
  });

  // A check that has found something wrong marks the fields.
  document.addEventListener("htmx:oobAfterSwap", function (event) {
    const place = event.detail.target;
    if (!place || !place.id.endsWith("-errors")) { return; }
    const field = document.getElementById(place.id.slice(0, -"-errors".length));
    if (field) { field.setAttribute("aria-invalid", place.textContent.trim() ? "true" : "false"); }
  });
})();
